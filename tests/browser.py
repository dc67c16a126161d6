"""A small browser for tests: it keeps cookies, says where it comes from, and sends forms with their token."""

import re
from types import TracebackType
from typing import Any, Self

import httpx
from litestar import Litestar

from core.config import Settings
from tests.factories import Person
from web.sessions import SESSION, cookie_name, session_csrf_token

_TOKEN = re.compile(r'name="_csrf_token" value="([^"]*)"')


class Browser:
    """Talks to the application in this process. Redirects are returned, not followed."""

    def __init__(self, app: Litestar, *, client: tuple[str, int] = ("198.51.100.7", 40000)) -> None:
        self.settings: Settings = app.state.settings
        self.base = self.settings.app_base_url
        self.person: Person | None = None
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=client)
        self.http = httpx.AsyncClient(transport=transport, base_url=self.base)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    def enter(self, person: Person) -> None:
        """Be signed in as ``person``."""
        self.person = person
        self.http.cookies.set(cookie_name(self.settings, SESSION), person.token, domain="tieout.test")

    @property
    def session_token(self) -> str | None:
        """The value of the session's cookie."""
        return self.http.cookies.get(cookie_name(self.settings, SESSION))

    async def get(self, path: str, **more: Any) -> httpx.Response:
        headers = {"Sec-Fetch-Site": "same-origin", **more.pop("headers", {})}
        return await self.http.get(path, headers=headers, **more)

    async def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        """Send a form. The token is the session's; without a session, that of the page at the same path."""
        fields = dict(data or {})
        if "_csrf_token" not in fields:
            fields["_csrf_token"] = await self.form_token(path)
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": self.base, **more.pop("headers", {})}
        return await self.http.post(path, data=fields, headers=headers, **more)

    async def form_token(self, path: str) -> str:
        """Return the token that a form of this browser needs."""
        if self.person is not None:
            return session_csrf_token(self.settings, self.person.session_hash)
        page = await self.get(path)
        found = _TOKEN.search(page.text)
        assert found, f"{path} has no form"
        return found[1]
