"""Who may call what: one line for every route (T6). A route without a line fails the tests.

A page's author adds a line. ``owner`` and ``member`` are the statuses that a person of the workspace gets for their own
things; a route with an id of ours names in ``ids`` which things the test makes, and the test then also tries another
tenant's id and one that does not exist: both must be the same 404.
"""

from dataclasses import dataclass, field
from uuid import UUID

from core.db.models import ItemKind, ItemState, PaymentState
from core.reasons import Reason
from core.wiring import Wiring
from tests.factories import make_connection
from tests.moves import make_item, make_payout
from tests.sales import make_payment, make_sale_item, make_service


@dataclass(frozen=True, slots=True)
class Line:
    """What callers get.

    ``open_to``: "people" (a session is needed), "anyone", "door" (a form for people without a session), "provider"
    (signed, no session), "machine" (no cookie is read).
    ``path``: values of path parameters that are no ids of ours; ``ids``: parameter -> kind of thing.
    ``form``: fields of a POST beside the token; ``query``: parameters that a page reads from its address.
    ``is_stream``: never ends, so only refusals are tried here.
    """

    open_to: str = "people"
    owner: int = 200
    member: int = 200
    path: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    query: tuple[str, ...] = ()
    is_stream: bool = False


_KEY = {"key": "quickbooks"}
_OWN_PAYMENT = {"payment_id": "payment"}
_OWN_PAYOUT = {"payout_id": "payout"}
_TABLE = ("q", "show", "service", "period", "from", "to", "sort", "before", "after")

MATRIX: dict[tuple[str, str], Line] = {
    ("GET", "/static/{name:str}"): Line(open_to="machine", owner=404, member=404, path={"name": "nothing.css"}),
    ("GET", "/health"): Line(open_to="machine"),
    ("GET", "/ready"): Line(open_to="machine"),
    # Closed to everybody where no operator's token is set; tests/web/test_metrics.py opens it.
    ("GET", "/metrics"): Line(open_to="machine", owner=404, member=404),
    ("GET", "/metrics.txt"): Line(open_to="machine", owner=404, member=404),
    ("POST", "/webhooks/stripe"): Line(open_to="provider", owner=400, member=400),
    ("POST", "/webhooks/stripe/{endpoint_token:str}"): Line(
        open_to="provider", owner=400, member=400, path={"endpoint_token": "f" * 64}
    ),
    ("GET", "/sign-in"): Line(open_to="door", owner=303, member=303, query=("next",)),
    ("POST", "/sign-in"): Line(open_to="door", owner=422, member=422, form={"email": "a@example.com"}),
    ("GET", "/sign-up"): Line(open_to="door", owner=303, member=303),
    ("POST", "/sign-up"): Line(open_to="door", owner=422, member=422),
    ("POST", "/sign-out"): Line(owner=303, member=303),
    ("GET", "/step-up"): Line(query=("next",)),
    ("POST", "/step-up"): Line(owner=422, member=422, form={"password": "wrong"}),
    ("GET", "/"): Line(owner=303, member=303),
    ("GET", "/start"): Line(owner=303, member=303),
    ("POST", "/start"): Line(owner=303, member=303, form={"first_day": "2026-03-02"}),
    ("GET", "/history"): Line(owner=303, member=303),
    ("POST", "/history"): Line(owner=303, member=303, form={"first_day": "2026-03-02"}),
    ("POST", "/history/stop"): Line(owner=303, member=303),
    ("POST", "/history/resume"): Line(owner=303, member=303),
    ("POST", "/history/look"): Line(owner=303, member=303),
    ("POST", "/history/post"): Line(owner=303, member=303),
    ("POST", "/history/posting/stop"): Line(owner=303, member=303),
    ("POST", "/history/posting/resume"): Line(owner=303, member=303),
    ("GET", "/connections"): Line(),
    ("POST", "/connections/{key:str}/connect"): Line(owner=303, member=403, path=_KEY),
    ("GET", "/connect/{key:str}/callback"): Line(
        owner=303, member=403, path=_KEY, query=("code", "state", "realmId", "error", "error_description")
    ),
    ("GET", "/connections/{key:str}/choose"): Line(owner=303, member=403, path=_KEY),
    ("POST", "/connections/{key:str}/choose"): Line(owner=303, member=403, path=_KEY),
    ("POST", "/connections/stripe/key"): Line(owner=422, member=403, form={"restricted_key": "nonsense"}),
    ("GET", "/connections/{key:str}/disconnect"): Line(owner=200, member=403, path=_KEY),
    ("POST", "/connections/{key:str}/disconnect"): Line(owner=303, member=403, path=_KEY),
    ("GET", "/connect/{key:str}/disconnected"): Line(open_to="anyone", owner=303, member=303, path=_KEY),
    ("GET", "/connect/{key:str}/reconnect"): Line(open_to="anyone", owner=303, member=303, path=_KEY),
    ("GET", "/events"): Line(is_stream=True),
    ("GET", "/accounts"): Line(query=("saved",)),
    ("POST", "/accounts/roles"): Line(owner=303, member=303),
    ("POST", "/accounts/create"): Line(owner=303, member=303),
    ("POST", "/accounts/bookkeeping"): Line(owner=303, member=303),
    ("POST", "/accounts/category"): Line(owner=303, member=303),
    ("GET", "/mapping"): Line(query=("saved",)),
    ("POST", "/mapping/accounts"): Line(owner=303, member=303),
    ("POST", "/mapping/refresh"): Line(owner=303, member=303),
    ("POST", "/mapping/{row_id:str}"): Line(owner=303, member=303, ids={"row_id": "service"}),
    ("GET", "/reconciliation"): Line(query=("month", "day", "before", "after", "open")),
    ("GET", "/reconciliation/unreconciled.csv"): Line(),
    ("POST", "/reconciliation/check"): Line(owner=303, member=303),
    ("POST", "/reconciliation/items/{item_id:uuid}/retry"): Line(owner=303, member=303, ids={"item_id": "item"}),
    ("POST", "/reconciliation/items/{item_id:uuid}/recreate"): Line(owner=303, member=303, ids={"item_id": "item"}),
    ("POST", "/reconciliation/items/{item_id:uuid}/ignore"): Line(
        owner=303, member=303, ids={"item_id": "item"}, form={"reason": "Entered by hand"}
    ),
    ("GET", "/payouts.csv"): Line(query=("month",)),
    ("GET", "/payouts/{payout_id:uuid}"): Line(ids=_OWN_PAYOUT),
    ("GET", "/payouts/{payout_id:uuid}/lines.csv"): Line(ids=_OWN_PAYOUT),
    ("GET", "/payments"): Line(query=_TABLE),
    ("GET", "/payments.csv"): Line(query=("of", *_TABLE)),
    ("GET", "/payments/{payment_id:uuid}"): Line(ids=_OWN_PAYMENT),
    ("POST", "/payments/{payment_id:uuid}/retry"): Line(owner=303, member=303, ids=_OWN_PAYMENT),
    ("POST", "/payments/{payment_id:uuid}/ignore"): Line(
        owner=303, member=303, ids=_OWN_PAYMENT, form={"reason": "Paid in cash"}
    ),
    ("POST", "/payments/retry"): Line(owner=303, member=303),
    ("POST", "/payments/retry-all"): Line(owner=303, member=303),
}


async def make_things(wiring: Wiring, tenant_id: UUID) -> dict[str, str]:
    """Make one of each kind of thing that a path may name; return kind -> id."""
    stripe = await make_connection(wiring, tenant_id, "stripe")
    books = await make_connection(wiring, tenant_id, "quickbooks")
    service = await make_service(wiring, tenant_id)
    payment = await make_payment(
        wiring,
        tenant_id,
        stripe.id,
        services=(service,),
        state=PaymentState.NEEDS_ATTENTION,
        reason=Reason.CUSTOMER_INACTIVE,
        reason_detail={"books": "QuickBooks"},
    )
    await make_sale_item(wiring, payment, books.id, state=ItemState.NEEDS_ATTENTION, reason=Reason.CUSTOMER_INACTIVE)
    payout = await make_payout(
        wiring, tenant_id, stripe.id, amount=40752, arrives=wiring.runtime.now().date(), automatic=False
    )
    refund = await make_item(
        wiring,
        tenant_id,
        books.id,
        ItemKind.REFUND,
        "re_1",
        state=ItemState.NEEDS_ATTENTION,
        reason=Reason.PERIOD_CLOSED,
    )
    return {
        "payment": str(payment.id),
        "service": str(service.id),
        "payout": str(payout.id),
        "item": str(refund.id),
    }
