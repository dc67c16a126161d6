"""Mapping: where each service lands in the books. A row saves as soon as it is changed."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.roles import AccountRole
from core.connections.books import refresh_books
from core.errors import InputError, NotFoundError, ProviderError
from core.mapping.roles import create_roles, save_role
from core.mapping.save import Saved, save_mapping
from core.mapping.services import mapping_page
from core.reports.standing import Books, read_standing
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import redirect_with
from web.formats import write_count
from web.forms import take_form
from web.guards import signed_in
from web.links import safe_path
from web.pages.mapping_view import CLEARING, CREATE, DEFAULT_ROW, mapping_view, no_books_view
from web.shell import now_of, signed_in_page
from web.views import Toast

PATH = "/mapping"
NO_BOOKS = Toast(text="Connect your books first. Nothing was changed.", is_problem=True)


@get(PATH, guards=[signed_in])
async def mapping(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], tenant_session: NamedDependency[AsyncSession]
) -> Response[str]:
    now = now_of(request)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=now)
    if standing.books is None:
        view = no_books_view()
    else:
        found = await mapping_page(tenant_session, standing.books, now=now)
        saved = request.query_params.get("saved", "")
        view = mapping_view(found, standing=standing, visitor=visitor, saved=saved)
    return signed_in_page(request, "mapping/index.html", page="mapping", visitor=visitor, standing=standing, view=view)


@post("/mapping/{row_id:str}", guards=[signed_in], status_code=303)
async def save_row(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    row_id: FromPath[str],
) -> Response[bytes]:
    form = take_form(request, "account_id", "suggested_account_id", "tax_code_id", "next")
    service_id = None if row_id == DEFAULT_ROW else _service_id(row_id)
    now = now_of(request)
    books = (await read_standing(tenant_session, visitor.tenant_id, now=now)).books
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    try:
        done = await save_mapping(
            tenant_session,
            tenant_id=visitor.tenant_id,
            connection_id=books.connection.id,
            service_id=service_id,
            income_account_id=form.raw("suggested_account_id") or form.raw("account_id") or None,
            tax_code_id=form.raw("tax_code_id") or None,
            by_user_id=visitor.user_id,
            now=now,
        )
    except InputError as exc:
        return redirect_with(request, visitor, PATH, Toast(text=f"{exc.message} Nothing was changed.", is_problem=True))
    return redirect_with(request, visitor, f"{PATH}?saved={row_id}", effect(done))


@post("/mapping/accounts", guards=[signed_in], status_code=303)
async def save_accounts(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[bytes]:
    account_id = take_form(request, CLEARING, "next").raw(CLEARING)
    books = await books_of(wiring, visitor)
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    if not account_id:
        return redirect_with(request, visitor, PATH, None)
    try:
        done = await _choose_clearing(wiring, visitor, books, account_id)
    except InputError as exc:
        return redirect_with(request, visitor, PATH, Toast(text=f"{exc.message} Nothing was changed.", is_problem=True))
    except ProviderError:
        return redirect_with(request, visitor, PATH, not_answering(books, "No account was chosen."))
    return redirect_with(request, visitor, f"{PATH}?saved={CLEARING}", effect(done))


@post("/mapping/refresh", guards=[signed_in], status_code=303)
async def refresh(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[bytes]:
    following = safe_path(take_form(request, "next").raw("next"), PATH)
    books = await books_of(wiring, visitor)
    if books is None:
        return redirect_with(request, visitor, PATH, NO_BOOKS)
    try:
        await refresh_books(wiring, tenant_id=visitor.tenant_id, connection_id=books.connection.id)
    except ProviderError:
        toast = not_answering(books, "The accounts below are those we read last.")
        return redirect_with(request, visitor, following, toast)
    return redirect_with(request, visitor, following, Toast(text="Accounts and tax codes are up to date."))


async def _choose_clearing(wiring: Wiring, visitor: Visitor, books: Books, account_id: str) -> Saved:
    """Create the account or take an existing one; a call to the books is never made inside a transaction."""
    connection_id = books.connection.id
    if account_id == CREATE:
        return await create_roles(
            wiring,
            tenant_id=visitor.tenant_id,
            connection_id=connection_id,
            roles=(AccountRole.CLEARING,),
            by_user_id=visitor.user_id,
        )
    async with wiring.db.tenant(visitor.tenant_id, write=True) as session:
        return await save_role(
            session,
            tenant_id=visitor.tenant_id,
            connection_id=connection_id,
            role=AccountRole.CLEARING,
            account_id=account_id,
            by_user_id=visitor.user_id,
            now=wiring.runtime.now(),
        )


async def books_of(wiring: Wiring, visitor: Visitor) -> Books | None:
    """Return the visitor's books, read in a session of their own."""
    async with wiring.db.tenant(visitor.tenant_id) as session:
        return (await read_standing(session, visitor.tenant_id, now=wiring.runtime.now())).books


def _service_id(row_id: str) -> UUID:
    try:
        return UUID(row_id)
    except ValueError as exc:
        raise NotFoundError("no such row") from exc


def effect(done: Saved) -> Toast | None:
    """Say what a choice changed, and what it leaves alone."""
    if not (done.is_new or done.reopened):
        return None
    parts = []
    if done.reopened:
        parts.append(f"It applies to {write_count(done.reopened, 'waiting payment')}.")
    if done.in_books:
        stay = "stays as it is" if done.in_books == 1 else "stay as they are"
        parts.append(f"{done.in_books:,} already in your books {stay}.")
    return Toast(text=" ".join(["Saved.", *parts]))


def not_answering(books: Books, consequence: str) -> Toast:
    return Toast(text=f"{books.display_name} did not do this just now. {consequence} Try again later.", is_problem=True)


ROUTES = [mapping, save_accounts, refresh, save_row]
