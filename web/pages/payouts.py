"""Payouts: the certificate of one, and files for a spreadsheet."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from core.reports.links import BooksLinks
from core.reports.payout import read_certificate
from core.reports.reconciliation_export import write_certificate_csv, write_payouts_csv
from core.reports.reconciliation_query import parse_reconciliation_query
from core.reports.standing import read_standing
from core.wiring import Wiring
from web.deps import Visitor
from web.formats import local_day
from web.guards import signed_in
from web.pages.payout_view import payout_view
from web.pages.reconciliation_view import CSV_PATH, PAYOUTS
from web.shell import place_of, signed_in_page
from web.views.looks import PAYOUT_STATES

_CSV = "text/csv"


@get(f"{PAYOUTS}/{{payout_id:uuid}}", guards=[signed_in])
async def payout_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    payout_id: FromPath[UUID],
) -> Response[str]:
    place = place_of(request, visitor)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=place.now)
    found = await read_certificate(tenant_session, payout_id, standing=standing)
    view = payout_view(found, standing=standing, links=BooksLinks(wiring, standing.books), place=place)
    return signed_in_page(
        request, "payout/index.html", page="reconciliation", visitor=visitor, standing=standing, view=view
    )


@get(f"{PAYOUTS}/{{payout_id:uuid}}/lines.csv", guards=[signed_in])
async def payout_csv(
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    payout_id: FromPath[UUID],
) -> Response[bytes]:
    standing = await read_standing(tenant_session, visitor.tenant_id, now=wiring.runtime.now())
    found = await read_certificate(tenant_session, payout_id, standing=standing, limit=10**6)
    name = f"tieout-payout-{found.payout.arrival_date.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(b"".join(write_certificate_csv(found)), media_type=_CSV, headers=headers)


@get(CSV_PATH, guards=[signed_in])
async def payouts_csv(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Stream:
    place = place_of(request, visitor)
    today = local_day(place.now, place)
    month = parse_reconciliation_query(dict(request.query_params), today=today).month or today
    async with wiring.db.tenant(visitor.tenant_id) as session:
        standing = await read_standing(session, visitor.tenant_id, now=place.now)
    words = {state: look.word for state, look in PAYOUT_STATES.items()}
    headers = {"Content-Disposition": f'attachment; filename="tieout-payouts-{month:%Y-%m}.csv"'}
    return Stream(
        write_payouts_csv(wiring.db, standing=standing, month=month, words=words), media_type=_CSV, headers=headers
    )


ROUTES = [payout_page, payout_csv, payouts_csv]
