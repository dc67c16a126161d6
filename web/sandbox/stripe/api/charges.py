"""Charges, refunds and disputes."""

from web.sandbox.stripe import disputes, payments, refunds, shapes_payment
from web.sandbox.stripe.api.common import metadata_of, texts, update
from web.sandbox.stripe.cards import method_of
from web.sandbox.stripe.errors import missing_param
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, page, resource
from web.sandbox.stripe.params import boolean, integer, mapping, required_integer, required_text, text
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.world import Json

TABLE = Table()

_BY_CHARGE = {"charge": field("charge"), "payment_intent": field("payment_intent")}

resource(
    TABLE,
    "/v1/charges",
    "charge",
    filters={
        "customer": field("customer"),
        "payment_intent": field("payment_intent"),
        "transfer_group": field("transfer_group"),
    },
)
resource(TABLE, "/v1/refunds", "refund", filters=_BY_CHARGE)
resource(TABLE, "/v1/disputes", "dispute", filters=_BY_CHARGE)


@TABLE.post("/v1/charges", "charge_write")
def create_charge(call: Call) -> Json:
    """The old way: a token charged at once, an intent made behind the scenes by nobody."""
    world, account = call.world, call.account
    amount = required_integer(call.params, "amount")
    currency = required_text(call.params, "currency").lower()
    charge = shapes_payment.charge(world, account, amount, currency, prefix="ch_")
    token = text(call.params, "source")
    if token:
        charge["payment_method"] = method_of(world, account, token)["id"]
    charge.update(description=text(call.params, "description"), metadata=metadata_of(call))
    charge.update(captured=True, amount_captured=amount, customer=text(call.params, "customer"))
    account.add(charge)
    payments.settle(world, account, charge, Settlement(), announce=False)
    emit(world, account, "charge.succeeded", charge)
    return charge


@TABLE.post("/v1/charges/{id}", "charge_write")
def change_charge(call: Call) -> Json:
    return update(call, "charge", texts("description", "receipt_email", "transfer_group"))


@TABLE.get("/v1/charges/{id}/refunds", "charge_read")
def refunds_of_charge(call: Call) -> Json:
    charge = call.load("charge")
    narrowed = Call(call.world, call.caller, call.ids, {**call.params, "charge": charge["id"]})
    return page(narrowed, "refund", f"/v1/charges/{charge['id']}/refunds", _BY_CHARGE)


@TABLE.post("/v1/refunds", "charge_write")
def create_refund(call: Call) -> Json:
    charge_id = text(call.params, "charge")
    intent_id = text(call.params, "payment_intent")
    if charge_id is None and intent_id is None:
        raise missing_param("charge")
    if charge_id is None:
        intent = call.load("payment_intent", intent_id, param="payment_intent")
        charge_id = intent["latest_charge"] or ""
    charge = call.load("charge", charge_id, param="charge")
    returned = 0
    amount = integer(call.params, "amount")
    if boolean(call.params, "refund_application_fee") and charge["application_fee_amount"]:
        share = charge["amount"] if amount is None else amount
        returned = charge["application_fee_amount"] * share // charge["amount"]
    return refunds.create(
        call.world,
        call.account,
        charge,
        amount=amount,
        reason=text(call.params, "reason"),
        metadata=metadata_of(call),
        refund_application_fee=returned,
    )


@TABLE.post("/v1/refunds/{id}", "charge_write")
def change_refund(call: Call) -> Json:
    refund = update(call, "refund", {})
    # The legacy twin of refund.updated still exists beside it.
    charge = call.account.get("charge", refund["charge"])
    if charge is not None:
        emit(call.world, call.account, "charge.refund.updated", refund, previous={"metadata": {}})
    return refund


@TABLE.post("/v1/refunds/{id}/cancel", "charge_write")
def cancel_refund(call: Call) -> Json:
    refund = refunds.fail(call.world, call.account, call.load("refund"), "merchant_request")
    refund["status"] = "canceled"
    return refund


@TABLE.post("/v1/disputes/{id}", "dispute_write")
def change_dispute(call: Call) -> Json:
    dispute = update(call, "dispute", {}, event="charge.dispute.updated")
    evidence = mapping(call.params, "evidence")
    if evidence:
        disputes.submit_evidence(call.world, call.account, dispute, evidence=evidence)
    return dispute


@TABLE.post("/v1/disputes/{id}/close", "dispute_write")
def close_dispute(call: Call) -> Json:
    dispute = call.load("dispute")
    return disputes.close(call.world, call.account, dispute, "lost")
