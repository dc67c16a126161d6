"""Accounts: who plays which role in the books, how things are booked, and where unknown movements go."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.roles import AccountRole, BookkeepingSettings, FeeStyle, ForeignStyle, LostDisputeTax, SaleStyle
from core.errors import InputError, ProviderError
from core.mapping.accounts import accounts_page
from core.mapping.roles import create_roles, save_bookkeeping, save_category, save_role
from core.mapping.save import Saved
from core.reports.standing import Books, read_standing
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import redirect_with
from web.forms import take_form
from web.guards import signed_in
from web.pages.accounts_view import FEE_TAX_CODE, FOREIGN_STYLE, accounts_view, no_accounts_view
from web.pages.mapping import NO_BOOKS, books_of, effect, not_answering
from web.pages.mapping_view import CREATE
from web.shell import now_of, signed_in_page
from web.views import Toast

PATH = "/accounts"
_ROLES = tuple(role.value for role in AccountRole)


@get(PATH, guards=[signed_in])
async def accounts(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], tenant_session: NamedDependency[AsyncSession]
) -> Response[str]:
    standing = await read_standing(tenant_session, visitor.tenant_id, now=now_of(request))
    if standing.books is None:
        view = no_accounts_view()
    else:
        found = await accounts_page(tenant_session, standing.books.connection.id)
        view = accounts_view(found, standing=standing, saved=request.query_params.get("saved", ""))
    return signed_in_page(request, "accounts/index.html", page="mapping", visitor=visitor, standing=standing, view=view)


@post(f"{PATH}/roles", guards=[signed_in], status_code=303)
async def save_roles(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[bytes]:
    form = take_form(request, *_ROLES)
    books = await books_of(wiring, visitor)
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    done, last = Saved(0, is_new=False, reopened=0), ""
    try:
        for role in AccountRole:
            account_id = form.raw(role.value)
            if account_id:
                saved = await _choose(wiring, visitor, books, role, account_id)
                last = role.value if saved.is_new else last
                done = Saved(0, is_new=done.is_new or saved.is_new, reopened=done.reopened + saved.reopened)
    except InputError as exc:
        return redirect_with(request, visitor, PATH, Toast(text=f"{exc.message} Nothing was changed.", is_problem=True))
    except ProviderError:
        return redirect_with(request, visitor, PATH, not_answering(books, "No account was chosen."))
    return redirect_with(request, visitor, f"{PATH}?saved={last}" if last else PATH, effect(done))


@post(f"{PATH}/create", guards=[signed_in], status_code=303)
async def create_missing(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[bytes]:
    take_form(request)
    books = await books_of(wiring, visitor)
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    async with wiring.db.tenant(visitor.tenant_id) as session:
        missing = (await accounts_page(session, books.connection.id)).missing
    try:
        done = await create_roles(
            wiring,
            tenant_id=visitor.tenant_id,
            connection_id=books.connection.id,
            roles=missing,
            by_user_id=visitor.user_id,
        )
    except ProviderError:
        return redirect_with(request, visitor, PATH, not_answering(books, "What was created so far is shown below."))
    return redirect_with(request, visitor, PATH, effect(done))


@post(f"{PATH}/bookkeeping", guards=[signed_in], status_code=303)
async def save_settings(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    form = take_form(request, "sale_style", "fee_style", "lost_dispute_tax", FEE_TAX_CODE, FOREIGN_STYLE)
    books = await books_of(wiring, visitor)
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    sale = form.choice("sale_style", set(SaleStyle))
    fee = form.choice("fee_style", set(FeeStyle))
    lost = form.choice("lost_dispute_tax", set(LostDisputeTax))
    # Not offered where the books keep one currency, so it may be missing.
    foreign = form.choice(FOREIGN_STYLE, set(ForeignStyle)) if form.raw(FOREIGN_STYLE) else ForeignStyle.SETTLED
    if sale is None or fee is None or lost is None or foreign is None:
        toast = Toast(text="Choose one from each list. Nothing was changed.", is_problem=True)
        return redirect_with(request, visitor, PATH, toast)
    settings = BookkeepingSettings(
        SaleStyle(sale), FeeStyle(fee), LostDisputeTax(lost), form.raw(FEE_TAX_CODE) or None, ForeignStyle(foreign)
    )
    try:
        is_new = await save_bookkeeping(
            tenant_session,
            tenant_id=visitor.tenant_id,
            connection_id=books.connection.id,
            settings=settings,
            by_user_id=visitor.user_id,
            now=now_of(request),
        )
    except InputError as exc:
        return redirect_with(request, visitor, PATH, Toast(text=f"{exc.message} Nothing was changed.", is_problem=True))
    text = "Saved. It applies from now on; what is in your books stays as it is."
    return redirect_with(request, visitor, PATH, Toast(text=text) if is_new else None)


@post(f"{PATH}/category", guards=[signed_in], status_code=303)
async def answer_category(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    form = take_form(request, "category", "account_id")
    books = await books_of(wiring, visitor)
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    try:
        done = await save_category(
            tenant_session,
            tenant_id=visitor.tenant_id,
            connection_id=books.connection.id,
            category=form.text("category", max_length=64),
            account_id=form.raw("account_id"),
            by_user_id=visitor.user_id,
            now=now_of(request),
        )
    except InputError as exc:
        return redirect_with(request, visitor, PATH, Toast(text=f"{exc.message} Nothing was changed.", is_problem=True))
    return redirect_with(request, visitor, PATH, effect(done))


async def _choose(wiring: Wiring, visitor: Visitor, books: Books, role: AccountRole, account_id: str) -> Saved:
    """Create the account or take an existing one; a call to the books is never made inside a transaction."""
    connection_id = books.connection.id
    if account_id == CREATE:
        return await create_roles(
            wiring,
            tenant_id=visitor.tenant_id,
            connection_id=connection_id,
            roles=(role,),
            by_user_id=visitor.user_id,
        )
    async with wiring.db.tenant(visitor.tenant_id, write=True) as session:
        return await save_role(
            session,
            tenant_id=visitor.tenant_id,
            connection_id=connection_id,
            role=role,
            account_id=account_id,
            by_user_id=visitor.user_id,
            now=wiring.runtime.now(),
        )


ROUTES = [accounts, save_roles, create_missing, save_settings, answer_category]
