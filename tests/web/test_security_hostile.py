"""Hostile values in every field and every address of every page, on both databases (I1, I8)."""

from urllib.parse import quote

import pytest
from litestar import Litestar

from core.wiring import Wiring
from tests.browser import Browser
from tests.conftest import BOTH
from tests.factories import Person, make_person
from tests.runtime import START
from tests.web.matrix import MATRIX, make_things
from tests.web.routes import fill, walk

HOSTILE = [
    "9" * 30,
    "-9223372036854775809",
    "\x00",
    "a\x00b",
    "\u202e",
    "x" * 60_000,
    "' OR 1=1 --",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "../../etc/passwd",
    "\u0130\ufdfa" * 100,
    "NaN",
    "1e400",
    "[]",
    "2026-99-99",
    "9999-12-31",
    "0001-01-01",
    "٢٠٢٦-٠٣-٠١",
]


@pytest.fixture(params=BOTH)
def wiring(request: pytest.FixtureRequest, wiring: Wiring) -> Wiring:
    """SQLite takes what PostgreSQL refuses, so both must be asked."""
    found: Wiring = wiring if request.param == "sqlite" else request.getfixturevalue("postgres_wiring")
    return found


@pytest.fixture
async def owner(wiring: Wiring) -> Person:
    return await make_person(wiring, tenant={"posting_starts_at": START})


async def test_hostile_values_in_every_field_of_every_form(
    app: Litestar, owner_browser: Browser, wiring: Wiring, owner: Person
) -> None:
    things = await make_things(wiring, owner.tenant_id)
    names = {"email", "password", "workspace", "zone", "next", "first_day", "reason", "account_id", "tax_code_id"}
    for method, template, _ in walk(app):
        line = MATRIX[method, template]
        if method == "GET" or line.open_to == "provider" or template.startswith(("/connections", "/sign-out")):
            continue
        path = fill(template, {**line.path, **{name: things[kind] for name, kind in line.ids.items()}})
        for name in sorted(names | set(line.form)):
            # A form that does not have the field refuses every value alike: one is enough.
            unknown = (await owner_browser.post(path, {**line.form, name: "x"})).status_code == 400
            for hostile in HOSTILE[:1] if unknown else HOSTILE:
                answer = await owner_browser.post(path, {**line.form, name: hostile})
                assert answer.status_code < 500, f"{path} {name}={hostile[:50]!r}"


async def test_hostile_values_in_addresses(
    app: Litestar, owner_browser: Browser, wiring: Wiring, owner: Person
) -> None:
    await make_things(wiring, owner.tenant_id)
    for method, template, _ in walk(app):
        line = MATRIX[method, template]
        if method != "GET" or line.is_stream:
            continue
        for hostile in HOSTILE:
            value = quote(hostile[:3000], safe="")
            for query in (*(f"{name}={value}" for name in line.query), f"{value}={value}"):
                answer = await owner_browser.get(f"{fill(template, line.path)}?{query}")
                assert answer.status_code < 500, f"{template} {query[:80]}"
            if line.path or line.ids:
                answer = await owner_browser.get(fill(template, dict.fromkeys([*line.path, *line.ids], value[:600])))
                assert answer.status_code < 500, f"{template} {value[:80]}"
