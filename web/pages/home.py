"""The front door: onwards to where the person has something to do."""

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Redirect

from web.deps import Visitor
from web.guards import signed_in


@get("/", guards=[signed_in], status_code=303)
async def home(visitor: NamedDependency[Visitor]) -> Redirect:
    return Redirect("/payments" if visitor.is_set_up else "/start", status_code=303)


ROUTES = [home]
