"""Reconciliation: the clearing line, the payouts of a month, what is not reconciled, and the files of both."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from core.reports.drift import read_watch
from core.reports.payouts import read_payout_month
from core.reports.reconciliation import read_clearing
from core.reports.reconciliation_export import write_open_csv
from core.reports.reconciliation_items import read_open_items
from core.reports.reconciliation_query import parse_reconciliation_query
from core.reports.standing import read_standing
from core.sync.acts import ignore_item, retry_item
from core.sync.check_books import check_books_now
from core.sync.recreate import recreate
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import redirect_with
from web.formats import local_day
from web.forms import take_form
from web.guards import signed_in
from web.links import safe_path
from web.pages.reconciliation_view import PATH, reconciliation_view
from web.shell import place_of, signed_in_page
from web.views import Toast

_MAX_WHY = 200


@get(PATH, guards=[signed_in])
async def reconciliation_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
) -> Response[str]:
    place = place_of(request, visitor)
    today = local_day(place.now, place)
    query = parse_reconciliation_query(dict(request.query_params), today=today)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=place.now)
    clearing = await read_clearing(tenant_session, standing=standing, day=query.day, today=today)
    month = await read_payout_month(
        tenant_session, standing=standing, month=query.month or today, before=query.before, after=query.after
    )
    found = await read_open_items(tenant_session, standing=standing, before=query.open_before)
    watch = await read_watch(tenant_session, standing, day=query.day)
    view = reconciliation_view(query, clearing, month, found, watch, standing=standing, place=place)
    return signed_in_page(
        request, "reconciliation/index.html", page="reconciliation", visitor=visitor, standing=standing, view=view
    )


@post(f"{PATH}/check", guards=[signed_in], status_code=303)
async def check_books(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    following = safe_path(take_form(request, "next").raw("next"), PATH)
    is_asked = await check_books_now(tenant_session, tenant_id=visitor.tenant_id, now=wiring.runtime.now())
    if is_asked:
        return redirect_with(request, visitor, following, Toast(text="Reading your books now. The page follows."))
    refusal = Toast(text="Your books are not connected, so they cannot be read now.", is_problem=True)
    return redirect_with(request, visitor, following, refusal)


@post(f"{PATH}/items/{{item_id:uuid}}/retry", guards=[signed_in], status_code=303)
async def retry_one_item(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    item_id: FromPath[UUID],
) -> Response[bytes]:
    following = safe_path(take_form(request, "next").raw("next"), PATH)
    has_begun = await retry_item(tenant_session, item_id, by_user_id=visitor.user_id, now=wiring.runtime.now())
    text = "Trying again now." if has_begun else "There was nothing to try again: we are on it already."
    return redirect_with(request, visitor, following, Toast(text=text))


@post(f"{PATH}/items/{{item_id:uuid}}/recreate", guards=[signed_in], status_code=303)
async def recreate_one_item(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    item_id: FromPath[UUID],
) -> Response[bytes]:
    following = safe_path(take_form(request, "next").raw("next"), PATH)
    has_begun = await recreate(tenant_session, item_id, by_user_id=visitor.user_id, now=wiring.runtime.now())
    if has_begun:
        return redirect_with(request, visitor, following, Toast(text="Making it again now, under a new number."))
    refusal = Toast(text="Nothing of it can be made again now. Nothing was changed.", is_problem=True)
    return redirect_with(request, visitor, following, refusal)


@post(f"{PATH}/items/{{item_id:uuid}}/ignore", guards=[signed_in], status_code=303)
async def ignore_one_item(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    item_id: FromPath[UUID],
) -> Response[bytes]:
    form = take_form(request, "next", "reason")
    following = safe_path(form.raw("next"), PATH)
    why = form.text("reason", max_length=_MAX_WHY)
    if not form.is_valid:
        problem = Toast(text=f"Say why in at most {_MAX_WHY} characters. Nothing was changed.", is_problem=True)
        return redirect_with(request, visitor, following, problem)
    is_out = await ignore_item(tenant_session, item_id, why=why, by_user_id=visitor.user_id, now=wiring.runtime.now())
    if is_out:
        return redirect_with(request, visitor, following, Toast(text="Left out of the books."))
    refusal = Toast(text="It is being posted or stands in your books already. Nothing was changed.", is_problem=True)
    return redirect_with(request, visitor, following, refusal)


@get(f"{PATH}/unreconciled.csv", guards=[signed_in])
async def unreconciled_csv(visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]) -> Stream:
    async with wiring.db.tenant(visitor.tenant_id) as session:
        standing = await read_standing(session, visitor.tenant_id, now=wiring.runtime.now())
    return Stream(
        write_open_csv(wiring.db, standing=standing),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="tieout-not-reconciled.csv"'},
    )


ROUTES = [
    reconciliation_page,
    check_books,
    retry_one_item,
    recreate_one_item,
    ignore_one_item,
    unreconciled_csv,
]
