"""One realistic context for every page, and for every state that a page can be in: a demo studio in Portland."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from web import views

PLACE = views.Place(zone=ZoneInfo("America/Los_Angeles"), now=datetime(2026, 11, 22, 18, 22, tzinfo=UTC))
HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}\u202e'

SHELL = views.Shell(
    page="payments",
    here="/payments?show=all",
    place=PLACE,
    csrf_token="token-of-the-session",
    workspace_name="Juniper Lane Photography",
    workspace_note="Portland, Oregon",
    nav=views.build_nav(attention=3, unmapped=2, broken=0),
    health=(
        views.HealthLine(name="Stripe", state="connected"),
        views.HealthLine(name="QuickBooks", state="connected"),
    ),
)
DOOR = views.Door(csrf_token="token-before-the-session")


def shell(page: str, **changes: Any) -> views.Shell:
    return replace(SHELL, page=page, here=f"/{page}", **changes)


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    """A moment of November 2026 on the studio's clocks."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=PLACE.zone)


def row(
    number: int, client: str, service: str, when: datetime, state: str, amount: int, **more: Any
) -> views.PaymentRow:
    fee = amount * 29 // 1000 + 30
    return views.PaymentRow(
        id=f"{number:08x}-0000-4000-8000-000000000000",
        client=client,
        service=service,
        paid_at=when,
        state=state,
        currency="USD",
        amount_minor=amount,
        **({"fee_minor": fee, "net_minor": amount - fee} | more),
    )


def invoice(number: int) -> views.Link:
    return views.Link(label=f"Invoice {number}", href=f"https://qbo.example/app/invoice?txnId={number}")


ROWS = (
    row(40, "Priya Raman", "Engagement session", at(22, 10, 21), "syncing", 57500, fee_minor=None, net_minor=None),
    row(
        39,
        "Lucía Fernández & Tom Adler",
        "Wedding, second instalment",
        at(22, 9, 41),
        "waiting",
        245000,
        reason="QuickBooks asked us to slow down",
    ),
    row(
        38,
        "Maya Lindqvist & Owen Park",
        "Second photographer",
        at(21, 18, 12),
        "needs_attention",
        60000,
        reason="No income account for this service",
        action="choose_account",
        service_id="second",
    ),
    row(37, "Grace Kim", "Mini session", at(21, 14, 55), "synced", 22500, document=invoice(1084)),
    row(36, "Łukasz & Ewa Nowak", "Wedding retainer", at(21, 11, 3), "synced", 95000, document=invoice(1083)),
    row(
        35,
        "Hannah Bergström",
        "Portrait session",
        at(20, 16, 40),
        "needs_attention",
        42000,
        reason="Customer is inactive in QuickBooks",
        action="retry",
    ),
    row(
        34,
        "Amara Okafor & James Whitfield",
        "Wedding, second instalment",
        at(20, 9, 18),
        "synced",
        245000,
        document=invoice(1082),
    ),
    row(
        33,
        "Chloe Beaumont",
        "Mentor hour",
        at(19, 20, 7),
        "synced",
        18500,
        client_amount_minor=17025,
        client_currency="EUR",
        document=invoice(1081),
    ),
    row(32, "Nadia Haddad & Elliot Shaw", "Wedding, final balance", at(19, 13, 26), "undone", 210000),
    row(
        31,
        "Jonah & Ruth Feldman",
        "Heirloom album",
        at(18, 17, 32),
        "needs_attention",
        95898,
        reason="The tax code no longer fits",
        action="see_lines",
    ),
    row(30, "Siobhán Murphy", "Mini session", at(18, 10, 15), "ignored", 22500, reason="Left out by you"),
    row(
        29, "Beatrix Vos", "Print credit", at(17, 8, 50), "waiting", 15000, action="finish_setup", reason="Not started"
    ),
)

_DAILY = (
    185,
    2450,
    410,
    575,
    2100,
    420,
    575,
    150,
    958,
    950,
    645,
    2450,
    800,
    185,
    0,
    1370,
    570,
    225,
    2285,
    2450,
    1175,
    0,
)
_OPEN = {18: 95898, 20: 42000, 21: 60000, 22: 302500}
SUMMARY = views.Summary(
    currency="USD",
    gross_minor=2593296,
    fee_minor=77672,
    refund_minor=40000,
    net_minor=2475624,
    days=tuple(
        views.DayAmounts(day=date(2026, 11, n), in_books_minor=amount * 100, open_minor=_OPEN.get(n, 0))
        for n, amount in enumerate(_DAILY, start=1)
    ),
)

PERIOD = views.Period(
    first=date(2026, 11, 1),
    last=date(2026, 11, 22),
    presets=(
        views.Chip(label="This month", href="/payments?period=2026-11", is_current=True),
        views.Chip(label="Last month", href="/payments?period=2026-10"),
        views.Chip(label="90 days", href="/payments?period=90d"),
    ),
    keep=(("show", "all"),),
)

CHIPS = (
    views.Chip(label="All", href="/payments?show=all", count=32, is_current=True),
    views.Chip(label="Needs attention", href="/payments?show=needs_attention", count=3, is_alert=True),
    views.Chip(label="Syncing", href="/payments?show=syncing", count=1),
    views.Chip(label="Waiting", href="/payments?show=waiting", count=1),
    views.Chip(label="Synced", href="/payments?show=synced", count=26),
    views.Chip(label="Ignored", href="/payments?show=ignored", count=1),
)

PAYMENTS = views.PaymentsView(
    live_since=48210,
    period=PERIOD,
    summaries=(SUMMARY,),
    chips=CHIPS,
    keep=(("show", "all"),),
    attention=views.Attention(count=3, retryable=2),
    rows=ROWS,
    pager=views.Pager(first=1, last=12, total=32, older_href="/payments?before=p029"),
    exports=(views.Link(label="Export unreconciled", href="/payments/unreconciled.csv"),),
)

POSTING = views.Posting(
    currency="USD",
    groups=(
        views.PostingGroup(
            title="Invoice",
            lines=(
                views.PostingLine(
                    account="Accounts receivable", debit_minor=42000, why="The amount of the payment at Stripe"
                ),
                views.PostingLine(
                    account="4020 Portraits and minis",
                    note="Non-taxable",
                    credit_minor=42000,
                    why="Mapping of “Portrait session”, version 3, set by you on Nov 2",
                ),
            ),
        ),
        views.PostingGroup(
            title="Payment on the invoice",
            lines=(
                views.PostingLine(account="1150 Stripe clearing", debit_minor=42000),
                views.PostingLine(account="Accounts receivable", credit_minor=42000),
            ),
        ),
        views.PostingGroup(
            title="Stripe fee",
            lines=(
                views.PostingLine(account="6120 Merchant fees", debit_minor=1248, why="Stripe’s fee on this payment"),
                views.PostingLine(account="1150 Stripe clearing", credit_minor=1248),
            ),
        ),
    ),
    total_debit_minor=85248,
    total_credit_minor=85248,
)

PAYMENT = views.PaymentView(
    live_since=48210,
    id=ROWS[5].id,
    client="Hannah Bergström",
    service="Portrait session",
    service_id="portrait",
    paid_at=at(20, 16, 40),
    state="needs_attention",
    currency="USD",
    amount_minor=42000,
    books_name="QuickBooks",
    problem=views.Problem(
        title="Hannah Bergström is inactive in QuickBooks",
        explanation=(
            "QuickBooks does not accept new sales for an inactive customer. Make the customer active there, then retry."
            " Nothing has been posted so far."
        ),
        action="retry",
        can_retry=True,
        attempts=3,
        last_tried_at=at(20, 17, 2),
        said="Error 610. Object Not Found: another object in this transaction is inactive. Customer 214.",
        said_by="QuickBooks",
        reference="1-64f0c2aa-5e1d",
    ),
    posting=POSTING,
    documents=(
        views.DocumentRow(
            label="Invoice 1064",
            day=date(2026, 11, 4),
            amount_minor=57500,
            currency="USD",
            what_for="Engagement session",
            href="https://qbo.example/app/invoice?txnId=1064",
        ),
        views.DocumentRow(
            label="Refund 88", day=date(2026, 11, 10), amount_minor=-17500, currency="USD", what_for="Partial refund"
        ),
    ),
    facts=(
        views.Fact(label="Gross", amount_minor=42000, currency="USD"),
        views.Fact(label="Stripe fee", amount_minor=-1248, currency="USD"),
        views.Fact(label="Net", amount_minor=40752, currency="USD", is_strong=True),
        views.Fact(label="Service", text="Portrait session", href="/mapping#s-portrait", link_label="Mapping"),
        views.Fact(label="Paid with", text="Visa ending 4242, United States"),
        views.Fact(
            label="Stripe payment",
            text="pi_3QK4mT2eZvKYlo2C1f9xHb7d",
            href="https://dashboard.stripe.com/payments/pi_3QK4mT2eZvKYlo2C1f9xHb7d",
            is_code=True,
        ),
        views.Fact(label="Our reference", text="TO-7F3K2M", is_code=True),
    ),
    timeline=(
        views.TimelineEvent(
            at=at(20, 17, 2),
            text="QuickBooks refused the invoice",
            note="Same answer on each of 3 tries, so we stopped and ask you",
            icon="triangle-alert",
            tone="alert",
        ),
        views.TimelineEvent(
            at=at(20, 16, 40, 9),
            text="Customer found in QuickBooks",
            note="Hannah Bergström, customer 214",
            tone="good",
            with_seconds=True,
        ),
        views.TimelineEvent(
            at=at(20, 16, 40, 8),
            text="Message from Stripe stored",
            code="payment_intent.succeeded",
            tone="good",
            with_seconds=True,
        ),
        views.TimelineEvent(at=at(19, 9, 0), text="Hannah got the payment link", icon="credit-card"),
    ),
    can_ignore=True,
)

STRIPE_CARD = views.ConnectionCard(
    key="stripe",
    name="Stripe",
    icon="credit-card",
    state="connected",
    company="juniperlane.co",
    connected_at=datetime(2026, 3, 4, 18, 0, tzinfo=UTC),
    connected_by="Rowan Ellis",
    last_checked_at=PLACE.now - timedelta(minutes=2),
    facts=(views.Fact(label="Today", text="7 payments, all stored"), views.Fact(label="Access", text="Read only")),
)
STRIPE_NEW = views.ConnectionCard(
    key="stripe",
    name="Stripe",
    icon="credit-card",
    state="not_connected",
    about="We read payments, fees, refunds and payouts. We never move money and never change anything at Stripe.",
    key_form=views.KeyForm(
        permissions=("Balance: read", "Charges: read", "Checkout sessions: read", "Customers: read", "Webhooks: write"),
        make_href="https://dashboard.stripe.com/apikeys/create?name=Tieout",
    ),
)
QUICKBOOKS_BROKEN = views.ConnectionCard(
    key="quickbooks",
    name="QuickBooks",
    icon="book-open",
    state="needs_attention",
    company="Juniper Lane Photography LLC",
    last_checked_at=PLACE.now - timedelta(hours=1),
    notice=views.Notice(
        title="QuickBooks ended our access at 9:12 this morning.",
        text="Two payments are waiting and nothing is lost. They post by themselves once you reconnect.",
    ),
    facts=(
        views.Fact(label="Posted this month", text="27 payments"),
        views.Fact(label="Access", text="Accounting, read and write"),
    ),
    consent_ends_on=date(2031, 3, 4),
    waiting=2,
)
QUICKBOOKS_NEW = views.ConnectionCard(
    key="quickbooks",
    name="QuickBooks",
    icon="book-open",
    state="not_connected",
    about="We read accounts, tax codes and customers and write invoices and payments. What you entered stays as it is.",
)
XERO_BLOCKED = views.ConnectionCard(
    key="xero",
    name="Xero",
    icon="book-open",
    state="not_connected",
    blocked=(
        "Your books are in QuickBooks. To move them to Xero, disconnect QuickBooks first,"
        " so that no payment is posted twice."
    ),
)

CHOOSE = views.ChooseCompanyView(
    key="xero",
    name="Xero",
    choices=(
        views.Choice(id="5e0c1b2a-0001-4000-8000-000000000001", label="Juniper Lane Photography"),
        views.Choice(id="5e0c1b2a-0001-4000-8000-000000000002", label="Juniper Lane Workshops <Pty>"),
    ),
)

CONNECTIONS = views.ConnectionsView(
    stripe=STRIPE_CARD, ledgers=(QUICKBOOKS_BROKEN, XERO_BLOCKED), first_day=date(2026, 11, 1)
)
CONNECTIONS_NEW = views.ConnectionsView(
    stripe=replace(STRIPE_NEW, key_form=replace(STRIPE_NEW.key_form, error="This key may not read charges.")),
    ledgers=(QUICKBOOKS_NEW,),
)

ACCOUNTS = (
    views.ChoiceGroup(
        label="Income",
        choices=(
            views.Choice(id="41", label="4010 Wedding photography"),
            views.Choice(id="42", label="4020 Portraits and minis"),
            views.Choice(id="43", label="4030 Albums and prints"),
            views.Choice(id="44", label="4040 Mentoring"),
        ),
    ),
    views.ChoiceGroup(
        label="Other current liabilities", choices=(views.Choice(id="51", label="2310 Client retainers"),)
    ),
)
BANKS = (views.ChoiceGroup(label="Bank", choices=(views.Choice(id="11", label="1010 Umpqua checking, ending 8841"),)),)


def service(key: str, name: str, price: int, uses: int, account: str, **more: Any) -> views.MappingRow:
    given = {"tax_code_id": "NON", "version": 1 if account else 0, "set_by": "you", "set_at": at(2, 9, 0)} | more
    return views.MappingRow(
        id=key, name=name, currency="USD", price_minor=price, uses=uses, account_id=account, **given
    )


MAPPING = views.MappingView(
    books_name="QuickBooks",
    rows=(
        service(
            "second",
            "Second photographer",
            60000,
            1,
            "",
            waiting=1,
            waiting_minor=60000,
            suggestion=views.Choice(id="41", label="4010 Wedding photography"),
        ),
        service("travel", "Travel fee", 18000, 0, ""),
        service("retainer", "Wedding retainer", 95000, 9, "51", saved=True),
        service("second-instalment", "Wedding, second instalment", 245000, 8, "41"),
        service("engagement", "Engagement session", 57500, 11, "42", version=3),
        service("portrait", "Portrait session", 42000, 14, "42"),
        service("album", "Heirloom album", 89000, 4, "43", tax_code_id="TAX", error="Archived in QuickBooks"),
        service("text", "Mentor hour", 18500, 6, "44", source="by the text of the payment"),
    ),
    default=views.MappingRow(id="default", name="Anything else", currency="USD", is_default=True, tax_code_id="NON"),
    account_groups=ACCOUNTS,
    tax_codes=(views.Choice(id="NON", label="Non-taxable"), views.Choice(id="TAX", label="Taxable")),
    roles=(
        views.RoleField(
            key="clearing",
            label="Stripe clearing",
            hint="Holds money between a payment and its payout.",
            groups=BANKS,
            create_label="Create “Stripe clearing”",
        ),
        views.RoleField(
            key="bank", label="Bank account", hint="Where payouts arrive.", groups=BANKS, value="11", saved=True
        ),
    ),
    unmapped=2,
    waiting=1,
    waiting_minor=60000,
    fetched_at=PLACE.now - timedelta(minutes=12),
)
MAPPING_INHERITS = replace(MAPPING, default=replace(MAPPING.default, account_id="41", version=2), unmapped=0, waiting=0)

STEPS = (
    views.Step(title="Connect Stripe", text="juniperlane.co, 214 payments found since January.", state="done"),
    views.Step(title="Connect your books", text="Juniper Lane Photography LLC in QuickBooks.", state="done"),
    views.Step(
        title="Say where income goes",
        text="Ten services found. Eight have a likely account, please look them over.",
        state="now",
        link=views.Link(label="Review mapping", href="/mapping"),
    ),
)
START = views.StartView(steps=STEPS, first_day=views.FirstDay(day=date(2026, 11, 1)))
START_OPEN = views.StartView(
    steps=tuple(replace(step, state="done") for step in STEPS),
    first_day=views.FirstDay(
        day=date(2026, 11, 1),
        earliest=date(2026, 1, 1),
        latest=date(2026, 11, 22),
        is_open=True,
        opening_minor=84217,
        error="Choose a day that is not after today.",
    ),
    payments_seen=214,
)

BROKEN = views.Notice(
    title="QuickBooks needs you to sign in again.",
    text="Payments are safe and waiting. They post by themselves once you reconnect.",
    link=views.Link(label="Reconnect QuickBooks", href="/connections#books"),
)

# name of the sample -> template and context
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "payments": ("payments/index.html", {"shell": SHELL, "view": PAYMENTS}),
    "payments-empty": (
        "payments/index.html",
        {
            "shell": shell("payments", toast=views.Toast(text="2 payments are being tried again")),
            "view": replace(
                PAYMENTS,
                rows=(),
                summaries=(),
                attention=None,
                pager=None,
                exports=(PAYMENTS.exports[0], views.Link(label="All payments", href="/payments/all.csv")),
            ),
        },
    ),
    "payments-none-match": (
        "payments/index.html",
        {
            "shell": shell("payments", banner=BROKEN, toast=views.Toast(text="That did not work.", is_problem=True)),
            "view": replace(PAYMENTS, rows=(), attention=None, pager=None, is_filtered=True, q="bergstrom 421"),
        },
    ),
    "payment": ("payments/payment.html", {"shell": SHELL, "view": PAYMENT}),
    "payment-synced": (
        "payments/payment.html",
        {
            "shell": SHELL,
            "view": replace(PAYMENT, state="synced", problem=None, posting=replace(POSTING, is_posted=True)),
        },
    ),
    "payment-waiting": (
        "payments/payment.html",
        {
            "shell": SHELL,
            "view": replace(
                PAYMENT,
                state="waiting",
                documents=(),
                client_amount_minor=38900,
                client_currency="EUR",
                problem=views.Problem(
                    title="QuickBooks is not answering",
                    explanation="We try again every few minutes. Nothing is lost or doubled.",
                    attempts=2,
                    next_try_at=at(22, 10, 24),
                    reference="1-64f0c2aa",
                ),
            ),
        },
    ),
    "connections": ("connections/index.html", {"shell": shell("connections"), "view": CONNECTIONS}),
    "connections-new": ("connections/index.html", {"shell": shell("connections"), "view": CONNECTIONS_NEW}),
    "disconnect": ("connections/disconnect.html", {"shell": shell("connections"), "view": QUICKBOOKS_BROKEN}),
    "choose": ("connections/choose.html", {"shell": shell("connections"), "view": CHOOSE}),
    "choose-nothing": (
        "connections/choose.html",
        {"shell": shell("connections"), "view": replace(CHOOSE, error="Choose one from the list.")},
    ),
    "mapping": ("mapping/index.html", {"shell": shell("mapping"), "view": MAPPING}),
    "mapping-inherits": ("mapping/index.html", {"shell": shell("mapping"), "view": MAPPING_INHERITS}),
    "mapping-no-books": ("mapping/index.html", {"shell": shell("mapping"), "view": views.MappingView(books_name="")}),
    "start": ("start/index.html", {"shell": shell("start"), "view": START}),
    "start-open": ("start/index.html", {"shell": shell("start"), "view": START_OPEN}),
    "sign-in": ("sign_in/index.html", {"door": DOOR, "view": views.SignInView()}),
    "sign-in-failed": (
        "sign_in/index.html",
        {
            "door": DOOR,
            "view": views.SignInView(
                email="rowan@juniperlane.example",
                error="That email and password do not match.",
                demo_email="demo@tieout.example",
                demo_password="a demo password",
                next="/mapping",
            ),
        },
    ),
    "sign-up": ("sign_up/index.html", {"door": DOOR, "view": views.SignUpView()}),
    "sign-up-failed": (
        "sign_up/index.html",
        {
            "door": DOOR,
            "view": views.SignUpView(
                workspace="Juniper Lane Photography",
                email="rowan",
                errors={"email": "That is not an email address.", "password": "Use at least 12 characters."},
            ),
        },
    ),
    "step-up": (
        "step_up/index.html",
        {
            "door": DOOR,
            "view": views.StepUpView(
                email="rowan@juniperlane.example",
                purpose="disconnect QuickBooks",
                next="/connections",
                error="That password does not match.",
            ),
        },
    ),
    "error": (
        "errors/error.html",
        {
            "door": views.Door(),
            "view": views.ErrorView(
                status=500,
                title="Something went wrong on our side",
                text="Nothing in your books changed. Try again in a minute.",
                link=views.Link(label="Back to payments", href="/payments"),
                request_id="7f3k2m9q",
            ),
        },
    ),
}
