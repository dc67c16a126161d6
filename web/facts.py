"""What is known about one request before its handler runs. Kept in the ASGI scope, made at the edge."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.types import Scope

from core.db.models import Role
from core.identity.sessions import Visit

_KEY = "tieout"

AnyConnection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Visitor:
    """The signed-in person of a request, as the session's row says; nothing of it is the request's own word (T1)."""

    user_id: UUID
    tenant_id: UUID
    role: Role
    session_hash: str
    csrf_token: str
    tenant_name: str
    user_name: str
    time_zone: str
    user_email: str
    is_set_up: bool
    knows_password: bool

    @property
    def is_owner(self) -> bool:
        """Whether the person may connect, disconnect and invite."""
        return self.role is Role.OWNER


@dataclass(slots=True)
class RequestFacts:
    """One request: its id for logs and support, where it came from, who sent it, and the fields of its form."""

    request_id: str
    address: str
    network: str
    visit: Visit | None = None
    visitor: Visitor | None = None
    fields: dict[str, list[str]] = field(default_factory=dict)


def put_facts(scope: Scope, facts: RequestFacts) -> None:
    """Attach the facts to a request."""
    scope["state"] = {**(scope.get("state") or {}), _KEY: facts}


def facts_of(scope: Scope) -> RequestFacts:
    """Return the facts of a request."""
    found: RequestFacts = scope["state"][_KEY]
    return found
