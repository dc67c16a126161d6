"""The front door: onwards to where the person has something to do."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from web.deps import Visitor
from web.guards import signed_in
from web.htmx import see_other


@get("/", guards=[signed_in], status_code=303)
async def home(visitor: NamedDependency[Visitor]) -> Response[Any]:
    return see_other("/payments" if visitor.is_set_up else "/start")


ROUTES = [home]
