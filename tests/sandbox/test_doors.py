"""Endpoints that are put together when they are first asked for answer like those of one application."""

import httpx
import pytest
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from web.sandbox.app import create_sandbox
from web.sandbox.doors import Doors, plain_app


def endpoint(path: str, method: str, name: str) -> HTTPRouteHandler:
    def answer() -> Response[str]:
        return Response(name)

    return HTTPRouteHandler(path, http_method=method, sync_to_thread=False, status_code=200)(answer)


def endpoints() -> list[HTTPRouteHandler]:
    return [
        endpoint("/files/{rest:path}", "GET", "the rest"),
        endpoint("/files/list", "GET", "list"),
        endpoint("/things/{key:str}", "GET", "one"),
        endpoint("/things/{key:str}", "DELETE", "gone"),
        endpoint("/things/new", "POST", "new"),
        endpoint("/", "GET", "home"),
    ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/things/7"),
        ("DELETE", "/things/7/"),
        ("POST", "/things/new"),
        ("GET", "/files//a/b"),
        ("GET", "/files/list"),
        ("GET", "/"),
        ("GET", "/things"),
        ("PUT", "/things/7"),
        ("GET", "/things/new"),
        ("GET", "/nothing"),
        ("OPTIONS", "/things/7"),
    ],
)
async def test_answers_are_those_of_one_application(method: str, path: str) -> None:
    answers = []
    for app in (plain_app(endpoints()), Doors(endpoints())):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://sandbox") as http:
            found = await http.request(method, path)
        answers.append((found.status_code, found.text, found.headers.get("allow")))
    assert answers[0] == answers[1]


async def test_every_endpoint_of_the_sandbox_has_a_door() -> None:
    app = create_sandbox().app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://sandbox") as http:
        known = await http.get("/_control/stripe/accounts")
        unknown = await http.get("/_control/stripe/nothing")
    assert (known.status_code, unknown.status_code) == (200, 404)
