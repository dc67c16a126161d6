"""The accounts page as its template wants it."""

from core.accounting import registry
from core.accounting.port import AccountType
from core.books.roles import FeeStyle, ForeignStyle, LostDisputeTax, SaleStyle
from core.mapping.accounts import AccountsPage
from core.mapping.role_specs import SPECS
from core.reports.standing import Standing
from web import views
from web.pages.mapping_view import account_groups, role_field

FEE_TAX_CODE = "fee_tax_code_id"
FOREIGN_STYLE = "foreign_style"
_SALE_STYLES = {
    SaleStyle.INVOICE: "Invoice and payment",
    SaleStyle.RECEIPT: "Sales receipt",
}
_FEE_STYLES = {
    FeeStyle.DAILY: "One entry a day",
    FeeStyle.PER_CHARGE: "One entry for each payment",
    FeeStyle.PER_PAYOUT: "One entry for each payout",
}
_LOST = {
    LostDisputeTax.REVERSED: "The sales tax goes back too",
    LostDisputeTax.KEPT: "The sales tax stays",
}
_FOREIGN = {
    ForeignStyle.SETTLED: "At the amount that Stripe settled",
    ForeignStyle.PRESENTMENT: "In the client’s currency, at the rate of the invoice’s day",
}
_NOT_FOR_ANSWERS = (AccountType.RECEIVABLE, AccountType.PAYABLE)


def no_accounts_view() -> views.AccountsView:
    """Return the page of a tenant that has no books yet."""
    return views.AccountsView(books_name="")


def accounts_view(page: AccountsPage, *, standing: Standing, saved: str = "") -> views.AccountsView:
    """Return the whole page; ``saved`` is the field that was just kept."""
    start = standing.posting_starts_at
    return views.AccountsView(
        books_name=standing.books_name,
        roles=tuple(role_field(spec, page.accounts, page.roles, saved) for spec in SPECS.values()),
        settings=(*_settings(page), *_foreign(page, standing)),
        questions=tuple(
            views.CategoryQuestion(
                category=found.category,
                label=found.category.replace("_", " "),
                waiting=found.waiting,
                example=found.example.replace("-", "−"),
            )
            for found in page.questions
        ),
        question_groups=account_groups(
            a for a in page.accounts.values() if a.is_active and a.type not in _NOT_FOR_ANSWERS
        ),
        opening=tuple(
            views.Opening(
                day=row.starts_at.astimezone(standing.zone).date(),
                amount_minor=row.amount_minor,
                currency=row.currency.upper(),
            )
            for row in page.opening
            if start is not None and row.starts_at == start
        ),
        missing=tuple(SPECS[role].name for role in page.missing),
        feed_account=page.feed_account.name if page.feed_account else "",
        first_day=start.astimezone(standing.zone).date() if start else None,
        fetched_at=page.fetched_at,
    )


def _settings(page: AccountsPage) -> tuple[views.Setting, ...]:
    chosen = page.bookkeeping
    codes = [views.Choice(id=code.external_id, label=code.name) for code in page.tax_codes if code.is_active]
    return (
        views.Setting(
            key="sale_style",
            label="A sale becomes",
            hint="Both give the same totals. An invoice also shows what the client owed and paid.",
            choices=tuple(views.Choice(id=key.value, label=word) for key, word in _SALE_STYLES.items()),
            value=chosen.sale_style.value,
        ),
        views.Setting(
            key="fee_style",
            label="Stripe's fees become",
            hint="Each has a line for each payment. One a day keeps your books short and each month right.",
            choices=tuple(views.Choice(id=key.value, label=word) for key, word in _FEE_STYLES.items()),
            value=chosen.fee_style.value,
        ),
        views.Setting(
            key=FEE_TAX_CODE,
            label="Tax on Stripe's fees",
            hint="Only where you may reclaim it. Without a code it is part of the fee.",
            choices=(views.Choice(id="", label="Part of the fee"), *codes),
            value=chosen.fee_tax_code_id or "",
        ),
        views.Setting(
            key="lost_dispute_tax",
            label="A lost dispute",
            hint="Whether its sales tax is taken back with the income. Ask your accountant when unsure.",
            choices=tuple(views.Choice(id=key.value, label=word) for key, word in _LOST.items()),
            value=chosen.lost_dispute_tax.value,
        ),
    )


def _foreign(page: AccountsPage, standing: Standing) -> tuple[views.Setting, ...]:
    """Ask about other currencies where the books can keep them."""
    if standing.books is None or not registry.get(standing.books.connection.kind).keeps_currencies:
        return ()
    return (
        views.Setting(
            key=FOREIGN_STYLE,
            label="A sale in another currency",
            hint="The client’s currency must be switched on in your books. Receipts always take the settled amount.",
            choices=tuple(views.Choice(id=key.value, label=word) for key, word in _FOREIGN.items()),
            value=page.bookkeeping.foreign_style.value,
        ),
    )
