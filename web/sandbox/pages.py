"""The page for people: make a payment by hand, refund it, dispute it, pay out. Plain forms, no script."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from core.money import MoneyError, exponent, to_decimal
from web.sandbox.html import page
from web.sandbox.stripe import businesses, disputes, ledger, payouts, refunds
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.inputs import CustomerInput, LineInput, PaymentInput
from web.sandbox.stripe.making import make_payment
from web.sandbox.stripe.params import flat
from web.sandbox.stripe.world import Account, Json, World

AnyRequest = Request[Any, Any, Any]

_SHOWN_PAYMENTS = 12


def page_handlers(world: World) -> list[HTTPRouteHandler]:
    """``/`` and the forms on it."""

    @get("/")
    async def home(request: AnyRequest) -> Response[str]:
        chosen = request.query_params.get("business", "")
        everyone = [account for account in world.accounts.values() if account is not world.platform]
        account = world.accounts.get(chosen) or (everyone[-1] if everyone else None)
        return page(
            "home.html",
            businesses=everyone,
            view=_view(world, account) if account else None,
            done=request.query_params.get("done", ""),
            problem=request.query_params.get("problem", ""),
        )

    @post("/_pages/businesses")
    async def add_business(request: AnyRequest) -> Redirect:
        form = await _form(request)
        account = businesses.create(
            world,
            name=form.get("name", "").strip() or "New studio",
            email=form.get("email", "").strip(),
            country=form.get("country", "US"),
        )
        return _back(account.id, done="Business added.")

    @post("/_pages/{account_id:str}/{action:str}")
    async def act(request: AnyRequest) -> Redirect:
        account_id = str(request.path_params["account_id"])
        account = world.accounts.get(account_id)
        if account is None:
            return _back("", problem="That business does not exist here.")
        try:
            done = _act(world, account, str(request.path_params["action"]), await _form(request))
        except (StripeError, MoneyError, ValueError) as error:
            return _back(account_id, problem=str(error))
        return _back(account_id, done=done)

    return [home, add_business, act]


def _act(world: World, account: Account, action: str, form: dict[str, str]) -> str:
    match action:
        case "pay":
            make_payment(world, account, _wish(account, form))
            return "Payment made."
        case "refund":
            charge = _charge(account, form)
            amount = form.get("amount", "").strip()
            refunds.create(world, account, charge, amount=_minor(amount, charge["currency"]) if amount else None)
            return "Refund made."
        case "dispute":
            disputes.create(world, account, _charge(account, form))
            return "Dispute opened."
        case "payout":
            payout = payouts.create_automatic(world, account, account.currency, include_pending=True)
            payouts.pay(world, account, payout)
            return "Paid out."
        case _:
            message = "There is no such action."
            raise ValueError(message)


def _wish(account: Account, form: dict[str, str]) -> PaymentInput:
    amount = _minor(form.get("amount", ""), account.currency)
    if amount <= 0:
        message = "The amount must be more than zero."
        raise ValueError(message)
    service = form.get("service", "").strip()
    client = CustomerInput(name=form.get("name", "").strip() or None, email=form.get("email", "").strip() or None)
    product = next((p["id"] for p in account.shelf("product").newest_first() if p["name"] == service), None)
    keep = form.get("client", "customer") == "customer"
    wish = PaymentInput(
        amount=amount,
        description=service or None,
        new_customer=client if keep else None,
        billing=None if keep else client,
    )
    if product is not None:
        wish.via = "checkout"
        wish.lines = [LineInput(name=service, price=_price(account, product, amount), unit_amount=amount)]
    return wish


def _price(account: Account, product_id: str, amount: int) -> str | None:
    """The price of that product with that amount; None makes the line an ad-hoc one."""
    for price in account.shelf("price").newest_first():
        if price["product"] == product_id and price["unit_amount"] == amount:
            return str(price["id"])
    return None


def _minor(text: str, currency: str) -> int:
    whole, _, cents = text.strip().replace(",", "").partition(".")
    places = exponent(currency)
    if not whole.isdigit() or (cents and not cents.isdigit()) or len(cents) > places:
        message = f"“{text[:20]}” is not an amount in {currency.upper()}."
        raise ValueError(message)
    return int(whole + cents.ljust(places, "0"))


def _charge(account: Account, form: dict[str, str]) -> Json:
    charge = account.get("charge", form.get("charge", ""))
    if charge is None:
        message = "That payment does not exist here."
        raise ValueError(message)
    return charge


def _view(world: World, account: Account) -> Json:
    charges: list[Json] = []
    for charge in account.shelf("charge").newest_first():
        if len(charges) == _SHOWN_PAYMENTS:
            break
        charges.append({**charge, "who": _who(account, charge), "state": _state(charge)})
    shown = ledger.balance(world, account)
    unpaid = sum(row["net"] for row in payouts.unpaid_rows(world, account, account.currency, include_pending=True))
    return {
        "account": account,
        "connected": world.grant_of(account.id) is not None,
        "balance": shown,
        "unpaid": unpaid,
        "offer": _offer(account),
        "services": [p["name"] for p in account.shelf("product").newest_first() if p["active"]],
        "charges": charges,
    }


def _offer(account: Account) -> Json:
    """What the form is filled with: the first service and its price."""
    product = next((p for p in account.shelf("product").oldest_first() if p["active"]), None)
    price = account.get("price", product["default_price"] or "") if product else None
    amount = price["unit_amount"] if price else 125 * 10 ** exponent(account.currency)
    return {
        "name": product["name"] if product else "Portrait session",
        "amount": str(to_decimal(amount, account.currency)),
    }


def _who(account: Account, charge: Json) -> str:
    customer = account.get("customer", charge["customer"] or "")
    details = charge["billing_details"]
    names = (customer["name"] if customer else None, details["name"], details["email"])
    return str(next((name for name in names if name), "No name"))


def _state(charge: Json) -> str:
    if charge["status"] != "succeeded":
        return "Failed"
    if charge["disputed"]:
        return "Disputed"
    if charge["refunded"]:
        return "Refunded"
    return "Partly refunded" if charge["amount_refunded"] else "Paid"


async def _form(request: AnyRequest) -> dict[str, str]:
    return flat(await request.body())


def _back(account_id: str, *, done: str = "", problem: str = "") -> Redirect:
    query = {"business": account_id, "done": done, "problem": problem[:200]}
    return Redirect("/", query_params={k: v for k, v in query.items() if v}, status_code=303)
