"""Payments: the live table, one payment, the acts on them, and the file for a spreadsheet."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from core.reports.csv_export import EXPORTS, write_csv
from core.reports.links import BooksLinks
from core.reports.payment import payment_detail
from core.reports.payments import find_service_name, payments_table
from core.reports.query import PaymentQuery, parse_query
from core.reports.standing import read_standing
from core.sync.acts import ignore_payment, retry_all, retry_payment
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import redirect_with
from web.formats import local_day, write_count
from web.forms import take_form
from web.guards import signed_in
from web.links import safe_path
from web.pages.payment_view import payment_view
from web.pages.payments_view import PATH, payments_view
from web.shell import place_of, signed_in_page
from web.views import Toast

_MAX_WHY = 200


@get(PATH, guards=[signed_in])
async def payments_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[str]:
    place = place_of(request, visitor)
    query = _query(request, visitor)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=place.now)
    today = local_day(place.now, place)
    table = await payments_table(tenant_session, query, standing=standing, today=today)
    name = await find_service_name(tenant_session, query.service_id) if query.service_id else ""
    links = BooksLinks(wiring, standing.books)
    view = payments_view(query, table, standing=standing, links=links, place=place, service_name=name)
    return signed_in_page(
        request, "payments/index.html", page="payments", visitor=visitor, standing=standing, view=view
    )


@get("/payments/{payment_id:uuid}", guards=[signed_in])
async def payment_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    payment_id: FromPath[UUID],
) -> Response[str]:
    place = place_of(request, visitor)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=place.now)
    found = await payment_detail(tenant_session, payment_id, standing=standing)
    links = BooksLinks(wiring, standing.books)
    view = payment_view(found, standing=standing, settings=wiring.settings, links=links, place=place)
    return signed_in_page(
        request, "payments/payment.html", page="payments", visitor=visitor, standing=standing, view=view
    )


@post("/payments/{payment_id:uuid}/retry", guards=[signed_in], status_code=303)
async def retry_one(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    payment_id: FromPath[UUID],
) -> Response[bytes]:
    following = safe_path(take_form(request, "next").raw("next"), PATH)
    has_begun = await retry_payment(tenant_session, payment_id, by_user_id=visitor.user_id, now=wiring.runtime.now())
    text = "Trying again now." if has_begun else "There was nothing to try again: we are on it already."
    return redirect_with(request, visitor, following, Toast(text=text))


@post(["/payments/retry", "/payments/retry-all"], guards=[signed_in], status_code=303)
async def retry_every(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    following = safe_path(take_form(request, "next").raw("next"), PATH)
    count = await retry_all(tenant_session, by_user_id=visitor.user_id, now=wiring.runtime.now())
    text = f"Trying {write_count(count, 'payment')} again now." if count else "There was nothing to try again."
    return redirect_with(request, visitor, following, Toast(text=text))


@post("/payments/{payment_id:uuid}/ignore", guards=[signed_in], status_code=303)
async def ignore_one(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    payment_id: FromPath[UUID],
) -> Response[bytes]:
    form = take_form(request, "next", "reason")
    following = safe_path(form.raw("next"), f"{PATH}/{payment_id}")
    why = form.text("reason", max_length=_MAX_WHY)
    if not form.is_valid:
        problem = Toast(text=f"Say why in at most {_MAX_WHY} characters. Nothing was changed.", is_problem=True)
        return redirect_with(request, visitor, following, problem)
    is_out = await ignore_payment(
        tenant_session, payment_id, why=why, by_user_id=visitor.user_id, now=wiring.runtime.now()
    )
    if is_out:
        return redirect_with(request, visitor, following, Toast(text="Left out of the books."))
    refusal = Toast(text="It is being posted or stands in your books already. Nothing was changed.", is_problem=True)
    return redirect_with(request, visitor, following, refusal)


@get("/payments.csv", guards=[signed_in])
async def payments_csv(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Stream:
    query = _query(request, visitor)
    export = EXPORTS.get(request.query_params.get("of", ""), EXPORTS["unreconciled"])
    async with wiring.db.tenant(visitor.tenant_id) as session:
        standing = await read_standing(session, visitor.tenant_id, now=wiring.runtime.now())
    return Stream(
        write_csv(wiring.db, query, export, standing=standing),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{export.file_name}"'},
    )


def _query(request: Request[Any, Any, Any], visitor: Visitor) -> PaymentQuery:
    place = place_of(request, visitor)
    return parse_query(dict(request.query_params), today=local_day(place.now, place))


ROUTES = [payments_page, payment_page, retry_one, retry_every, ignore_one, payments_csv]
