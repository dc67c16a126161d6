"""The mapping page as its template wants it."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from core.accounting.port import AccountType
from core.books.roles import AccountRole
from core.db.models import BooksAccount, BooksTaxCode, RoleVersion, ServiceSource
from core.mapping.role_specs import SPECS, RoleSpec
from core.mapping.rules import Decision
from core.mapping.services import MappingPage, ServiceRow, is_usable
from core.reports.standing import Standing
from web import views
from web.deps import Visitor

DEFAULT_ROW = "default"
CLEARING = "clearing"
CREATE = "create"

_GROUPS = {
    AccountType.INCOME: "Income",
    AccountType.OTHER_INCOME: "Other income",
    AccountType.CURRENT_LIABILITY: "Other current liabilities",
    AccountType.OTHER_LIABILITY: "Other liabilities",
    AccountType.EXPENSE: "Expenses",
    AccountType.OTHER_EXPENSE: "Other expenses",
    AccountType.BANK: "Bank",
    AccountType.CURRENT_ASSET: "Current assets",
    AccountType.OTHER_ASSET: "Other assets",
    AccountType.EQUITY: "Equity",
}
_GONE = "No longer active"
_OTHERS = "Other accounts"
_SOURCES = {ServiceSource.TEXT: "known by its description"}


def no_books_view() -> views.MappingView:
    """Return the page of a tenant that has no books yet."""
    return views.MappingView(books_name="")


def mapping_view(page: MappingPage, *, standing: Standing, visitor: Visitor, saved: str = "") -> views.MappingView:
    """Return the whole page; ``saved`` is the row or the field that was just kept."""
    decisions = [found for found in (page.default, *(row.own for row in page.rows)) if found is not None]
    main = standing.main_currency
    return views.MappingView(
        books_name=standing.books_name,
        rows=tuple(_row(row, page, visitor, main, saved) for row in page.rows),
        default=_default_row(page, visitor, main, saved),
        account_groups=account_groups(page.income_accounts, _gone_accounts(page, decisions)),
        tax_codes=_tax_codes(page.tax_codes, {found.choice.tax_code_id for found in decisions}),
        roles=(role_field(SPECS[AccountRole.CLEARING], page.accounts, page.roles, saved),),
        unmapped=page.unmapped,
        waiting=page.waiting.waiting,
        waiting_minor=page.waiting.waiting_minor,
        currency=(page.waiting.waiting_currency or main).upper(),
        fetched_at=page.fetched_at,
    )


def _row(row: ServiceRow, page: MappingPage, visitor: Visitor, main: str, saved: str) -> views.MappingRow:
    choice = row.own.choice if row.own else None
    return views.MappingRow(
        id=str(row.id),
        name=row.name,
        currency=(row.price_currency or row.use.currency or main).upper(),
        account_id=(choice.income_account_id if choice else None) or "",
        tax_code_id=(choice.tax_code_id if choice else None) or "",
        price_minor=row.price_minor if row.price_currency else None,
        source=_SOURCES.get(row.source, ""),
        uses=row.use.payments,
        waiting=row.use.waiting,
        waiting_minor=row.use.waiting_minor,
        suggestion=_choice(row.suggestion) if row.suggestion else None,
        error=_error(row.own, page),
        version=choice.version if choice else 0,
        set_by=_author(row.own, visitor.user_id),
        set_at=row.own.set_at if row.own else None,
        saved=saved == str(row.id),
    )


def _default_row(page: MappingPage, visitor: Visitor, main: str, saved: str) -> views.MappingRow:
    found = page.default
    return views.MappingRow(
        id=DEFAULT_ROW,
        name="Anything else",
        currency=main.upper(),
        account_id=(found.choice.income_account_id if found else None) or "",
        tax_code_id=(found.choice.tax_code_id if found else None) or "",
        error=_error(found, page),
        version=found.choice.version if found else 0,
        set_by=_author(found, visitor.user_id),
        set_at=found.set_at if found else None,
        saved=saved == DEFAULT_ROW,
        is_default=True,
    )


def _error(found: Decision | None, page: MappingPage) -> str:
    """Say what became of a choice in the books since it was made."""
    if found is None:
        return ""
    account_id, code_id = found.choice.income_account_id, found.choice.tax_code_id
    account = page.accounts.get(account_id or "")
    if account_id is not None and not is_usable(account):
        return f"“{account.name}” is no longer active" if account else "This account is gone from your books"
    codes = {code.external_id: code for code in page.tax_codes}
    if code_id is not None and not (code_id in codes and codes[code_id].is_active):
        return "Its tax code is no longer in use"
    return ""


def _author(found: Decision | None, user_id: UUID) -> str:
    if found is None:
        return ""
    return "you" if found.set_by_id == user_id else found.choice.set_by


def _gone_accounts(page: MappingPage, decisions: Iterable[Decision]) -> list[views.Choice]:
    """Return chosen accounts that are not offered any more, so that the lists can still show what was chosen."""
    chosen = {found.choice.income_account_id for found in decisions} - {None}
    gone = sorted(account_id for account_id in chosen if account_id and not is_usable(page.accounts.get(account_id)))
    return [
        _choice(page.accounts[account_id])
        if account_id in page.accounts
        else views.Choice(id=account_id, label="An account that is gone")
        for account_id in gone
    ]


def account_groups(
    accounts: Iterable[BooksAccount], gone: Sequence[views.Choice] = ()
) -> tuple[views.ChoiceGroup, ...]:
    """Return accounts under the headings of their types, with those that are gone at the end."""
    by_type: dict[str, list[views.Choice]] = {kind: [] for kind in _GROUPS}
    for account in accounts:
        by_type.setdefault(account.type, []).append(_choice(account))
    groups = [
        views.ChoiceGroup(label=_GROUPS.get(AccountType(kind), _OTHERS), choices=tuple(choices))
        for kind, choices in by_type.items()
        if choices
    ]
    if gone:
        groups.append(views.ChoiceGroup(label=_GONE, choices=tuple(gone)))
    return tuple(groups)


def _choice(account: BooksAccount) -> views.Choice:
    return views.Choice(id=account.external_id, label=f"{account.number or ''} {account.name}".strip())


def _tax_codes(codes: Iterable[BooksTaxCode], chosen: set[str | None]) -> tuple[views.Choice, ...]:
    return tuple(
        views.Choice(id=code.external_id, label=code.name if code.is_active else f"{code.name} (no longer in use)")
        for code in codes
        if code.is_active or code.external_id in chosen
    )


def role_field(
    spec: RoleSpec, accounts: Mapping[str, BooksAccount], roles: Mapping[AccountRole, RoleVersion], saved: str
) -> views.RoleField:
    """Return the list from which one role's account is chosen."""
    found = roles.get(spec.role)
    chosen = found.account_id if found else ""
    offered = [account for account in accounts.values() if account.is_active and account.type in spec.types]
    is_offered = any(account.external_id == chosen for account in offered)
    account = accounts.get(chosen)
    gone = [_choice(account) if account else views.Choice(id=chosen, label="An account that is gone")]
    return views.RoleField(
        key=spec.role.value,
        label=spec.name,
        hint=spec.purpose,
        groups=account_groups(offered, gone if chosen and not is_offered else []),
        value=chosen,
        create_label=f"Create “{spec.name}”" if spec.creatable and not is_offered else "",
        error="This account is no longer active. Choose another one." if chosen and not is_offered else "",
        saved=saved == spec.role.value,
    )
