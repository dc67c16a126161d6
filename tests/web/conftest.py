"""The application in this process, and browsers to visit it with."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from core.db.models import Role
from core.wiring import Wiring
from tests.apps import app_over
from tests.browser import Browser
from tests.factories import Person, make_person


@pytest.fixture
async def app(wiring: Wiring) -> AsyncIterator[Litestar]:
    """The application over a fresh SQLite database."""
    application = app_over(wiring)
    async with application.lifespan():
        yield application


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[Browser]:
    """A browser that is not signed in."""
    async with Browser(app) as opened:
        yield opened


@pytest.fixture
async def owner(wiring: Wiring) -> Person:
    """An owner with a workspace of their own."""
    return await make_person(wiring)


@pytest.fixture
async def member(wiring: Wiring, owner: Person) -> Person:
    """A member of the owner's workspace."""
    return await make_person(wiring, tenant_id=owner.tenant_id, role=Role.MEMBER)


@pytest.fixture
async def stranger(wiring: Wiring) -> Person:
    """The owner of another workspace."""
    return await make_person(wiring)


@pytest.fixture
async def owner_browser(app: Litestar, owner: Person) -> AsyncIterator[Browser]:
    """A browser in which the owner is signed in."""
    async with Browser(app) as opened:
        opened.enter(owner)
        yield opened


@pytest.fixture
async def bare(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client that adds nothing of a browser's own: no origin, no fetch metadata."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://tieout.test") as opened:
        yield opened
