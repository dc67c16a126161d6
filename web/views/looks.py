"""How fixed values look: the six states, health, and the one action that a reason asks for."""

from dataclasses import dataclass

from core.reasons import Action


@dataclass(frozen=True, slots=True)
class Look:
    """An icon and a word; they always stand together."""

    icon: str
    word: str


@dataclass(frozen=True, slots=True)
class ActionLook:
    """The button of an action: ``label`` on a page, ``short`` in a table row, ``href`` (None: it is a POST)."""

    label: str
    short: str
    href: str | None


# The six states of a payment, everywhere the same words.
STATES: dict[str, Look] = {
    "waiting": Look("clock", "Waiting"),
    "syncing": Look("loader-circle", "Syncing"),
    "synced": Look("circle-check", "Synced"),
    "needs_attention": Look("triangle-alert", "Needs attention"),
    "ignored": Look("circle-minus", "Ignored"),
    "undone": Look("undo-2", "Undone"),
}

# How a payout stands: core.reports.payouts.PayoutState.
PAYOUT_STATES: dict[str, Look] = {
    "tied": Look("circle-check", "Tied out"),
    "off": Look("triangle-alert", "Does not tie"),
    "on_its_way": Look("clock", "On its way"),
    "waiting": Look("clock", "Waiting"),
    "by_hand": Look("info", "By hand"),
    "failed": Look("undo-2", "Failed"),
    "before_start": Look("circle-minus", "Before your first day"),
}

# The state of a connection, on its card and (second word) at the foot of the sidebar.
CONNECTION_STATES: dict[str, Look] = {
    "connected": Look("circle-check", "Connected"),
    "needs_attention": Look("triangle-alert", "Needs reconnecting"),
    "not_connected": Look("circle-dashed", "Not connected"),
}
HEALTH_STATES: dict[str, Look] = {
    "connected": Look("circle-check", "Connected"),
    "needs_attention": Look("triangle-alert", "Reconnect"),
    "not_connected": Look("circle-dashed", "Not connected"),
}

# NONE is absent on purpose: no button is drawn for it.
ACTIONS: dict[str, ActionLook] = {
    Action.RETRY: ActionLook("Retry", "Retry", None),
    Action.CHOOSE_ACCOUNT: ActionLook("Choose an account", "Choose account", "/mapping#map"),
    Action.CHOOSE_CLEARING: ActionLook("Choose the clearing account", "Choose account", "/mapping#other-side"),
    Action.CHOOSE_ROLE: ActionLook("Choose the account", "Choose account", "/accounts#roles-card"),
    Action.CHOOSE_CATEGORY: ActionLook("Say where it belongs", "Choose account", "/accounts#questions"),
    Action.RECONNECT_BOOKS: ActionLook("Reconnect your books", "Reconnect", "/connections#books"),
    Action.RECONNECT_STRIPE: ActionLook("Reconnect Stripe", "Reconnect", "/connections#stripe"),
    Action.CONNECT_BOOKS: ActionLook("Connect your books", "Connect books", "/connections#books"),
    Action.FINISH_SETUP: ActionLook("Finish the set-up", "Finish set-up", "/start"),
    Action.SEE_LINES: ActionLook("See the lines", "See the lines", "#lines"),
}
