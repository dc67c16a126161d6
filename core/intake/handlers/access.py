"""Events about our access itself. They are hints: the connection is asked, the event is not believed."""

from typing import Any

from core.db.models import ItemKind
from core.intake.handlers.registry import Target, handles

KEEP_ALIVE_ID = "access"
"""Source id of the one item per connection that checks whether access still holds."""


@handles("account.application.deauthorized", "apps.install.deleted", "account.updated")
def access_changed(obj: dict[str, Any]) -> list[Target]:
    """Our access may have been taken away."""
    return [Target(ItemKind.KEEP_ALIVE, KEEP_ALIVE_ID)]
