"""History: read it, look at what would be posted, then post it."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.setup import FIELD, check_first_day
from core.db.models import HistoryRun
from core.errors import InputError
from core.reports.history import read_history
from core.reports.standing import read_standing
from core.sync.acts import resume_posting, stop_posting
from core.sync.history import progress, resume, start_history, stop
from core.sync.items import books_connection
from core.sync.look_ahead import ask_for_dry_run, post_history
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import redirect_with
from web.forms import take_form
from web.guards import signed_in
from web.htmx import see_other
from web.pages.history_view import history_view
from web.pages.start import PATH as START
from web.pages.start import checklist
from web.shell import place_of, signed_in_page
from web.views import Toast

PATH = "/history"
_AGAIN = Toast(text="Nothing was changed. Look at this page again, it has moved on.", is_problem=True)

AnyRequest = Request[Any, Any, Any]


@get(PATH, guards=[signed_in])
async def history_page(
    request: AnyRequest, visitor: NamedDependency[Visitor], tenant_session: NamedDependency[AsyncSession]
) -> Response[Any]:
    place = place_of(request, visitor)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=place.now)
    report = await read_history(tenant_session, standing, now=place.now)
    if report is None:
        return see_other("/payments" if visitor.is_set_up else START)
    view = history_view(report, standing=standing, place=place)
    return signed_in_page(request, "history/index.html", page="start", visitor=visitor, standing=standing, view=view)


@post(PATH, guards=[signed_in], status_code=303)
async def look(
    request: AnyRequest,
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[Any]:
    form = take_form(request, FIELD)
    if visitor.is_set_up:
        return redirect_with(request, visitor, PATH, _AGAIN)
    day, now = form.day(FIELD), wiring.runtime.now()
    if day is None:
        return await checklist(request, visitor, tenant_session, error=form.errors[FIELD])
    try:
        await check_first_day(tenant_session, visitor.tenant_id, day, now=now)
        await start_history(
            tenant_session, tenant_id=visitor.tenant_id, first_day=day, by_user_id=visitor.user_id, now=now
        )
    except InputError as exc:
        return await checklist(request, visitor, tenant_session, error=exc.message)
    return see_other(PATH)


@post(f"{PATH}/stop", guards=[signed_in], status_code=303)
async def stop_reading(
    request: AnyRequest,
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    take_form(request)
    read = await progress(tenant_session)
    done = read is not None and await stop(tenant_session, read.run_id, now=wiring.runtime.now())
    return redirect_with(request, visitor, PATH, Toast(text="Reading is stopped.") if done else _AGAIN)


@post(f"{PATH}/resume", guards=[signed_in], status_code=303)
async def resume_reading(
    request: AnyRequest,
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    take_form(request)
    read = await progress(tenant_session)
    done = read is not None and await resume(tenant_session, read.run_id, now=wiring.runtime.now())
    return redirect_with(request, visitor, PATH, Toast(text="Reading goes on.") if done else _AGAIN)


@post(f"{PATH}/look", guards=[signed_in], status_code=303)
async def look_again(
    request: AnyRequest,
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    take_form(request)
    run = None if visitor.is_set_up else await _run(tenant_session)
    done = run is not None and await ask_for_dry_run(tenant_session, run, now=wiring.runtime.now())
    return redirect_with(request, visitor, PATH, None if done else _AGAIN)


@post(f"{PATH}/post", guards=[signed_in], status_code=303)
async def post_it(
    request: AnyRequest,
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    take_form(request)
    run = await _run(tenant_session)
    done = run is not None and await post_history(tenant_session, run, now=wiring.runtime.now())
    return redirect_with(request, visitor, PATH, Toast(text="Posting has started.") if done else _AGAIN)


@post(f"{PATH}/posting/stop", guards=[signed_in], status_code=303)
async def stop_posting_it(
    request: AnyRequest,
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[bytes]:
    take_form(request)
    books = await books_connection(tenant_session)
    done = books is not None and await stop_posting(tenant_session, books.id, now=wiring.runtime.now())
    return redirect_with(request, visitor, PATH, Toast(text="Posting is stopped.") if done else _AGAIN)


@post(f"{PATH}/posting/resume", guards=[signed_in], status_code=303)
async def resume_posting_it(
    request: AnyRequest, visitor: NamedDependency[Visitor], tenant_session: NamedDependency[AsyncSession]
) -> Response[bytes]:
    take_form(request)
    books = await books_connection(tenant_session)
    done = books is not None and await resume_posting(tenant_session, books.id)
    return redirect_with(request, visitor, PATH, Toast(text="Posting goes on.") if done else _AGAIN)


async def _run(session: AsyncSession) -> HistoryRun | None:
    read = await progress(session)
    return await session.get_one(HistoryRun, read.run_id) if read is not None else None


ROUTES = [history_page, look, stop_reading, resume_reading, look_again, post_it, stop_posting_it, resume_posting_it]
