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
    nav=views.build_nav(attention=3, untied=1, unmapped=2, broken=0),
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


def role(key: str, label: str, hint: str, account: str = "", **more: Any) -> views.RoleField:
    return views.RoleField(key=key, label=label, hint=hint, groups=(*BANKS, *ACCOUNTS), value=account, **more)


def setting(key: str, label: str, hint: str, *choices: str) -> views.Setting:
    made = tuple(views.Choice(id=choice.casefold().replace(" ", "_"), label=choice) for choice in choices)
    return views.Setting(key=key, label=label, hint=hint, choices=made, value=made[0].id)


BOOKED_AS = (
    setting("sale_style", "A sale becomes", "Both give the same totals.", "Invoice and payment", "Sales receipt"),
    setting("fee_style", "Stripe's fees become", "One entry a day keeps each month right.", "One entry a day"),
    setting("fee_tax_code_id", "Tax on Stripe's fees", "Only where you may reclaim it.", "Part of the fee"),
    setting("lost_dispute_tax", "A lost dispute", "Ask your accountant when unsure.", "Sales tax goes back as well"),
)
ACCOUNT_SET_UP = views.AccountsView(
    books_name="QuickBooks",
    roles=(
        role("clearing", "Stripe clearing", "Holds money between a payment and its payout.", "11", saved=True),
        role("bank", "Bank account for payouts", "Where Stripe pays out to.", "11"),
        role("fees", "Stripe fees", "What Stripe keeps of each payment.", "41", error="Archived in QuickBooks"),
        role("held", "Stripe disputes held", "Money of open disputes.", create_label="Create “Stripe disputes held”"),
        role("tips", "Tips received", "Where tips go.", empty_label="As the service"),
    ),
    settings=BOOKED_AS,
    opening=(views.Opening(day=date(2026, 11, 1), amount_minor=84217, currency="USD"),),
    first_day=date(2026, 11, 1),
    fetched_at=PLACE.now - timedelta(minutes=12),
)
ACCOUNT_QUESTIONS = replace(
    ACCOUNT_SET_UP,
    missing=("Stripe disputes held", "Chargebacks"),
    questions=(
        views.CategoryQuestion(
            category="climate_order_purchase", label="climate order purchase", waiting=2, example="−$4.00"
        ),
        views.CategoryQuestion(
            category="a_very_long_reason_that_nobody_has_seen_before_today", label="a very long reason that nobody has"
            " seen before today", waiting=1, example="$1,204.10",
        ),
    ),
    question_groups=ACCOUNTS,
    opening=(),
)  # fmt: skip
ACCOUNT_FEED = replace(ACCOUNT_SET_UP, feed_account="Stripe (bank feed)", first_day=None, opening=())

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
        history="We are reading everything since January 1. Nothing is posted.",
        error="Choose a day that is not after today.",
    ),
    payments_seen=214,
)

HISTORY = views.HistoryView(
    stage="reading",
    first_day=date(2026, 1, 1),
    lede="We are reading your history from Stripe. Nothing is written to QuickBooks.",
    books_name="QuickBooks",
    live_since=48210,
    meter=views.Meter(label="Reading from Stripe", value=3, most=8, words="3 of 8 lists read"),
    found=(
        views.CountLine(label="Payments", count="1,204"),
        views.CountLine(label="Refunds", count="31"),
        views.CountLine(label="Balance transactions", count="0"),
    ),
)
HISTORY_LOOKED = replace(
    HISTORY,
    stage="looked",
    lede="This is what we would post. Nothing has been written to QuickBooks yet.",
    meter=None,
    found=(),
    earliest=date(2025, 11, 21),
    latest=date(2026, 11, 22),
    run=views.DryRunView(
        currency="USD",
        documents=(
            views.CountLine(label="New clients", count="412"),
            views.CountLine(label="Invoices", count="1,201"),
            views.CountLine(label="Payments on invoices", count="1,201"),
            views.CountLine(label="Expenses", count="298"),
            views.CountLine(label="Transfers", count="46"),
        ),
        calls="916",
        time="about 6 minutes",
        trial=(
            views.TrialLine(account="1000 Checking", debit_minor=48210577),
            views.TrialLine(account="1150 Stripe clearing", debit_minor=1365069),
            views.TrialLine(account="4000 Session income", credit_minor=51104117),
            views.TrialLine(account="Sales tax", credit_minor=0),
            views.TrialLine(account="6100 Stripe fees", debit_minor=1528471),
        ),
        total_minor=51104117,
        sales="1,204 payments",
        gross_minor=51188334,
        opening_minor=84217,
        stops=(
            views.StopLine(
                what="3 payments",
                title="Where should “Mini session” go?",
                explanation="",
                amount_minor=67500,
                currency="USD",
                link=views.Link(label="Choose an account", href="/mapping#map"),
            ),
            views.StopLine(
                what="1 refund",
                title="Its payment is not in QuickBooks yet",
                explanation="This belongs to a payment that waits itself. It is booked right after that one.",
                amount_minor=-22500,
                currency="USD",
            ),
        ),
        alike=(
            views.AlikeLine(
                href="/payments/00000023-0000-4000-8000-000000000000",
                client="Hannah Bergström",
                day=date(2026, 3, 4),
                amount_minor=42000,
                currency="USD",
                document="Invoice 1188",
            ),
        ),
        alike_more=2,
        is_compared=False,
    ),
)
HISTORY_POSTING = replace(
    HISTORY_LOOKED,
    stage="posting",
    lede="We are posting to QuickBooks, each document exactly once. You may leave this page.",
    meter=views.Meter(label="Posting", value=612, most=1580, words="612 of 1,580 posted, 1 when the day is over"),
    is_started=True,
    attention=6,
)

BROKEN = views.Notice(
    title="QuickBooks needs you to sign in again.",
    text="Payments are safe and waiting. They post by themselves once you reconnect.",
    link=views.Link(label="Reconnect QuickBooks", href="/connections#books"),
)


def line(label: str, amount: int | None, small: str = "") -> views.ProofLine:
    return views.ProofLine(label=label, amount_minor=amount, small=small)


def payout_row(number: int, day: int, state: str, **more: Any) -> views.PayoutRowView:
    return views.PayoutRowView(
        id=f"{number:08x}-0000-4000-8000-00000000000b", day=date(2026, 11, day), state=state, currency="USD", **more
    )


CLEARING = views.ClearingView(
    currency="USD",
    books=line("1150 Stripe clearing", 880573, "in QuickBooks, read 2 minutes ago"),
    explained=(
        line("Payments not posted yet", 485736, "5, net of fees"),
        line("Changed or removed by hand", -1240, "1"),
    ),
    settled_minor=1365069,
    stripe=line("Stripe balance", 1365069, "read 1 minute ago"),
    difference_minor=0,
    first_day=date(2026, 3, 1),
    today=date(2026, 11, 22),
    keep=(("month", "2026-11"),),
)
MONTH = views.MonthView(
    first=date(2026, 11, 1),
    name="November",
    currency="USD",
    lines=(
        line("Gross", 1968898, "22 payments"),
        line("Stripe fees", -59262),
        line("Refunds", -17500),
        line("Disputes", -22500),
    ),
    net_minor=1869636,
    differ_minor=-1240,
    off=1,
    rows=(
        payout_row(1, 23, "on_its_way", amount_minor=620523, payments="11 payments", gross_minor=639398,
                   fees_minor=-18875),
        payout_row(2, 16, "tied", amount_minor=555325, payments="8 payments", gross_minor=614898, fees_minor=-19573,
                   refunds_minor=-17500, disputes_minor=-22500, in_books_minor=555325, difference_minor=0),
        payout_row(3, 12, "by_hand", amount_minor=20000, note="Stripe gives no breakdown", in_books_minor=20000,
                   difference_minor=0),
        payout_row(4, 9, "off", amount_minor=851325, payments="8 payments", gross_minor=877000, fees_minor=-25675,
                   in_books_minor=850085, difference_minor=-1240),
        payout_row(5, 6, "waiting", amount_minor=10000, payments="1 payment", note="For 2 entries", gross_minor=10330,
                   fees_minor=-330),
        payout_row(6, 4, "failed", amount_minor=30000, note="", gross_minor=30900, fees_minor=-900),
        payout_row(7, 2, "before_start", amount_minor=462986, note="Out of scope"),
    ),
    pager=views.Pager(total=32, older_href="/reconciliation?before=2026-11-02-7"),
    earlier_href="/reconciliation?month=2026-10",
    earlier_label="October",
    later_href="/reconciliation?month=2026-12",
    later_label="December",
    csv_href="/payouts.csv?month=2026-11",
)  # fmt: skip


def open_row(
    number: int, title: str, sub: str, state: str, reason: str, age: str, amount: int | None, **more: Any
) -> Any:
    return views.OpenRowView(
        id=f"{number:08x}-0000-4000-8000-00000000000c", title=title, sub=sub, state=state, reason=reason, age=age,
        currency="USD", amount_minor=amount, **more,
    )  # fmt: skip


OPEN = views.OpenView(
    count=32,
    rows=(
        open_row(1, "Transfer 412", "of November 9", "needs_attention", "Total was $8,513.25, now $8,500.85", "13 days",
                 -1240, action="see_proof", action_href="/payouts/00000004-0000-4000-8000-00000000000b"),
        open_row(2, "Priya Raman", "Engagement session", "syncing", "", "Today", 55802, href="/payments/40"),
        open_row(3, "Stripe fees of November 20", "", "waiting", "QuickBooks is not answering", "2 days", -4120),
        open_row(4, "Maya Lindqvist & Owen Park", "Second photographer", "needs_attention",
                 "No income account for this service", "1 day", 58230, href="/payments/38", action="choose_account",
                 action_href="/mapping#s-second"),
        open_row(5, "Movement at Stripe", "txn_1QK4mT2eZvKYlo2C1f9xHb7d", "needs_attention",
                 "Stripe calls this “climate contribution”", "4 days", -500, action="choose_category"),
        open_row(6, "Refund to Hannah Bergström", "re_3QK4mT2eZvKYlo2C1f9xHb7d", "needs_attention",
                 "That month is closed in QuickBooks", "5 days", -17500, href="/payments/35", action="retry",
                 retry_path="/reconciliation/items/00000006-0000-4000-8000-00000000000c/retry"),
        open_row(7, "Dispute of a client", "dp_1", "waiting", "", "Today", None),
    ),
    totals=(views.OpenSum(currency="USD", amount_minor=90672), views.OpenSum(currency="EUR", amount_minor=4000)),
    pager=views.Pager(older_href="/reconciliation?open=1-2#open", newer_href="/reconciliation#open"),
)  # fmt: skip
RECONCILIATION = views.ReconciliationView(
    live_since=48210, books_name="QuickBooks", clearing=CLEARING, month=MONTH, open=OPEN, can_check=True
)
RECONCILIATION_DAY = replace(
    RECONCILIATION,
    clearing=replace(
        CLEARING,
        day=date(2026, 10, 31),
        difference_minor=1250,
        notes=("No entry of ours explains this amount. Look in QuickBooks for an entry that somebody else made.",),
    ),
    month=replace(MONTH, off=0, differ_minor=0, later_href="", pager=None, rows=MONTH.rows[1:3]),
    open=views.OpenView(count=0, rows=()),
)
RECONCILIATION_NEW = replace(
    RECONCILIATION,
    clearing=None,
    can_check=False,
    setup=views.Link(label="Connect your books", href="/connections#books"),
    month=replace(MONTH, rows=(), off=0, differ_minor=0, pager=None),
    open=views.OpenView(count=0, rows=()),
)


def mark(label: str, number: int, times: int = 1) -> views.DocumentMark:
    href = f"https://qbo.example/app/{label.partition(' ')[0].lower()}?txnId={number}"
    return views.DocumentMark(label=label, external_id=str(number), times=times, href=href)


def part(number: int, title: str, sub: str, day: int, net: int, off: int = 0, **more: Any) -> views.CertificateLine:
    marks = more.pop("documents", (mark(f"Invoice {number}", 200 + number), mark(f"Payment {number}", 400 + number)))
    return views.CertificateLine(
        key=f"txn_{number}", code=f"txn_1QK4mT2eZvKYlo2C1f9x{number}", title=title, sub=sub, day=date(2026, 11, day),
        stripe_minor=net, ours_minor=net, books_minor=net + off, difference_minor=off, is_odd=bool(off),
        documents=(*marks, mark("Expense 71", 671)), **more,
    )  # fmt: skip


PAYOUT = views.PayoutView(
    live_since=48210,
    id="00000002-0000-4000-8000-00000000000b",
    stripe_id="po_1R1116LqvKYlo2C1f9xHb7d",
    title="Payout of November 16",
    subtitle="Paid to Umpqua checking ending 8841, covers November 6 – 12",
    books_name="QuickBooks",
    day=date(2026, 11, 16),
    state="tied",
    currency="USD",
    proof=(
        line("Gross", 614898, "8 payments"),
        line("Stripe fees", -19573, "with $15.00 for disputes"),
        line("Refunds", -17500, "1"),
        line("Disputes", -22500, "1"),
    ),
    net_minor=555325,
    ends=(
        line("Arrived in Umpqua checking ending 8841", 555325, "confirmed by Stripe on November 16"),
        line("Transfer in QuickBooks", 555325),
    ),
    difference_minor=0,
    transfers=(mark("Transfer 412", 1412),),
    lines=(
        part(1073, "Eleanor & Sam Hughes", "Wedding, second instalment", 12, 237865, href="/payments/1"),
        part(1072, "Freya Nyström", "Mini session", 11, 21817, href="/payments/2"),
        part(1071, "Oluwaseun Adeyemi", "Portrait session", 11, 40752, href="/payments/3"),
        part(88, "Hannah Bergström", "Refund, Portrait session", 10, -17500, documents=(mark("Refund 88", 1088),)),
        part(41, "Freya Nyström", "Dispute, Mini session", 12, -24000, documents=(mark("Transfer 41", 1041),)),
    ),
    stripe_minor=555325,
    ours_minor=555325,
    books_minor=555325,
    once="10 lines, 29 entries, each in QuickBooks once.",
    read_at=at(22, 10, 20),
    prepared="November 22, 2026 at 10:22 am from Stripe payout po_1R1116Lq and QuickBooks transfer 412.",
    can_check=True,
    csv_href="/payouts/00000002-0000-4000-8000-00000000000b/lines.csv",
)
PAYOUT_OFF = replace(
    PAYOUT,
    state="off",
    difference_minor=-3300,
    books_minor=552025,
    lines=(
        part(1073, "Eleanor & Sam Hughes", "Wedding, second instalment", 12, 237865),
        part(1071, "Oluwaseun Adeyemi", "Portrait session", 11, 42014, -3300, href="/payments/3",
             words="Payment 1071: Total was $433.00, now $400.00"),
        views.CertificateLine(
            key="shared-2", title="Expense 72", sub="Books several lines of this payout together",
            day=date(2026, 11, 11), stripe_minor=None, ours_minor=None, books_minor=0, difference_minor=0,
            documents=(mark("Expense 72", 672, times=2),), words="Before your first day, in the opening balance",
        ),
    ),
    more=3,
    once="1 entry stands in QuickBooks more than once.",
    is_doubled=True,
)  # fmt: skip
PAYOUT_BY_HAND = replace(
    PAYOUT,
    state="by_hand",
    notice="Stripe gives no breakdown here.",
    notice_text=(
        "You started this payout by hand, so Stripe does not say what is in it. The balance check on the"
        " reconciliation page covers it."
    ),
    proof=(),
    lines=(),
    once="0 lines, 1 entry, each in QuickBooks once.",
    read_at=None,
)
PAYOUT_ON_ITS_WAY = replace(
    PAYOUT,
    state="on_its_way",
    difference_minor=None,
    transfers=(),
    ends=(
        line("Arrived in your bank", None, "expected on November 16"),
        line("Transfer in QuickBooks", None, "not there yet"),
    ),
)

# name of the sample -> template and context
METRICS = views.MetricsView(
    at="2026-11-20 15:04:00 UTC",
    verdict="Something stands still.",
    findings=(
        views.FindingLine(
            level="broken",
            text="No worker is alive: events are taken and kept, but nothing gets into the books.",
            do="Start `tieout worker` beside PostgreSQL, or `tieout web` on SQLite; then look at its log.",
        ),
        views.FindingLine(level="warning", text="Resting: 1 connection to Xero, which asked for it.", do="Nothing."),
    ),
    headlines=(("Due now", "14"), ("Oldest waiting", "9 minutes"), ("Database", "12.4 MB")),
    queue=views.BarTable(
        key="queue",
        title="Queue",
        lede="Tries to come: 2 within five minutes.",
        columns=("Kind", "Items", "Due", "Held", "Oldest"),
        rows=(
            views.BarRow(
                label="Fetch payment",
                note="Pending",
                figure="1,204",
                value=1204,
                most=1204,
                notes=("14", "0", "2 hours"),
            ),
            views.BarRow(label="Sale", note="Pending", figure="3", value=3, most=1204, notes=("0", "3", "–")),
        ),
    ),
    stopped=views.BarTable(key="stopped", title="Stopped", columns=("Kind", "Items"), rows=(), empty="Nothing."),
    calls=views.BarTable(
        key="calls",
        title="How providers answer",
        columns=("Provider", "Errors", "Calls", "Errors, day", "Calls, day"),
        rows=(
            views.BarRow(
                label="Xero",
                note="70 written, 30 slowed down",
                figure="30 %",
                value=30,
                most=100,
                notes=("100", "2.1 %", "9,120"),
            ),
        ),
    ),
    budgets=views.BarTable(key="budgets", title="Call budgets", columns=("Provider", "Share"), rows=()),
    lanes=views.FigureTable(
        key="lanes",
        title="Connections",
        lede="How many are worked on, left by a dead worker, or resting.",
        columns=("Provider", "All", "At work", "Left", "Resting"),
        rows=(("Stripe", "12", "1", "0", "0"), ("Xero", "3", "0", "0", "1")),
    ),
    processes=views.FigureTable(key="processes", title="Processes", columns=("Process", "State"), rows=()),
)

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
    "reconciliation": ("reconciliation/index.html", {"shell": shell("reconciliation"), "view": RECONCILIATION}),
    "reconciliation-day": ("reconciliation/index.html", {"shell": shell("reconciliation"), "view": RECONCILIATION_DAY}),
    "reconciliation-new": (
        "reconciliation/index.html",
        {"shell": shell("reconciliation", banner=BROKEN), "view": RECONCILIATION_NEW},
    ),
    "payout": ("payout/index.html", {"shell": shell("reconciliation"), "view": PAYOUT}),
    "payout-off": ("payout/index.html", {"shell": shell("reconciliation"), "view": PAYOUT_OFF}),
    "payout-by-hand": ("payout/index.html", {"shell": shell("reconciliation"), "view": PAYOUT_BY_HAND}),
    "payout-on-its-way": ("payout/index.html", {"shell": shell("reconciliation"), "view": PAYOUT_ON_ITS_WAY}),
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
    "accounts": ("accounts/index.html", {"shell": shell("mapping"), "view": ACCOUNT_SET_UP}),
    "accounts-questions": (
        "accounts/index.html",
        {"shell": shell("mapping", banner=BROKEN), "view": ACCOUNT_QUESTIONS},
    ),
    "accounts-feed": ("accounts/index.html", {"shell": shell("mapping"), "view": ACCOUNT_FEED}),
    "accounts-no-books": (
        "accounts/index.html",
        {"shell": shell("mapping"), "view": views.AccountsView(books_name="")},
    ),
    "start": ("start/index.html", {"shell": shell("start"), "view": START}),
    "history": ("history/index.html", {"shell": shell("history"), "view": HISTORY}),
    "history-looked": ("history/index.html", {"shell": shell("history"), "view": HISTORY_LOOKED}),
    "history-posting": ("history/index.html", {"shell": shell("history"), "view": HISTORY_POSTING}),
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
    "metrics": ("metrics/index.html", {"door": DOOR, "view": METRICS}),
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
