"""The Stripe part of the control API: everything a client, a bank or the owner does, at ``/_control/stripe/``."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from web.sandbox.routes import ControlCall, Nothing, control_route
from web.sandbox.stripe import businesses, disputes, inputs, ledger, payouts, refunds
from web.sandbox.stripe.errors import no_such
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.making import make_customer, make_payment
from web.sandbox.stripe.present import shown
from web.sandbox.stripe.sales import new_product
from web.sandbox.stripe.world import Account, Json, World

_ROOT = "/_control/stripe/accounts/{account:str}"


def money_control(world: World) -> list[HTTPRouteHandler]:
    """Accounts, catalogue and every movement of money."""
    control = _Control(world)
    accounts = "/_control/stripe/accounts"
    return [
        control_route("POST", accounts, control.create_account, inputs.AccountInput),
        control_route("GET", accounts, control.list_accounts),
        control_route("GET", _ROOT, control.show_account),
        control_route("POST", f"{_ROOT}/connect", control.connect, inputs.ConnectInput),
        control_route("POST", f"{_ROOT}/disconnect", control.disconnect),
        control_route("POST", f"{_ROOT}/restricted_keys", control.restricted_key, inputs.PermissionsInput),
        control_route("POST", f"{_ROOT}/products", control.create_product, inputs.ProductInput),
        control_route("POST", f"{_ROOT}/customers", control.create_customer, inputs.CustomerInput),
        control_route("POST", f"{_ROOT}/payments", control.create_payment, inputs.PaymentInput),
        control_route("POST", f"{_ROOT}/refunds", control.create_refund, inputs.RefundInput),
        control_route("POST", f"{_ROOT}/refunds/{{refund:str}}/fail", control.fail_refund, inputs.FailInput),
        control_route("POST", f"{_ROOT}/refunds/{{refund:str}}/succeed", control.succeed_refund),
        control_route("POST", f"{_ROOT}/disputes", control.create_dispute, inputs.DisputeInput),
        control_route("POST", f"{_ROOT}/disputes/{{dispute:str}}/withdraw", control.withdraw),
        control_route("POST", f"{_ROOT}/disputes/{{dispute:str}}/evidence", control.evidence, inputs.EvidenceInput),
        control_route("POST", f"{_ROOT}/disputes/{{dispute:str}}/close", control.close, inputs.CloseInput),
        control_route("POST", f"{_ROOT}/payouts", control.create_payout, inputs.PayoutInput),
        control_route("POST", f"{_ROOT}/payouts/{{payout:str}}/advance", control.advance_payout),
        control_route("POST", f"{_ROOT}/payouts/{{payout:str}}/pay", control.pay_payout),
        control_route("POST", f"{_ROOT}/payouts/{{payout:str}}/cancel", control.cancel_payout),
        control_route("POST", f"{_ROOT}/payouts/{{payout:str}}/fail", control.fail_payout, inputs.FailInput),
        control_route("POST", f"{_ROOT}/balance_transactions", control.create_row, inputs.RowInput),
        control_route("GET", f"{_ROOT}/ledger", control.show_ledger),
        control_route("GET", f"{_ROOT}/objects/{{object_id:str}}", control.show_object),
    ]


class _Control:
    """The functions behind the routes; they share the world and nothing else."""

    def __init__(self, world: World) -> None:
        self._world = world

    def create_account(self, call: ControlCall[inputs.AccountInput]) -> Json:
        wish = call.data
        account = businesses.create(
            self._world,
            name=wish.name,
            email=wish.email,
            country=wish.country,
            currency=wish.currency,
            account_id=wish.id,
            payout_delay_days=wish.payout_delay_days,
            platform_controlled=wish.platform_controlled,
        )
        if wish.daily_payouts:
            account.daily_payouts = True
            payouts.start_daily(self._world, account)
        return self._summary(account)

    def list_accounts(self, _: ControlCall[Nothing]) -> list[Json]:
        return [self._summary(account) for account in self._world.accounts.values()]

    def show_account(self, call: ControlCall[Nothing]) -> Json:
        account = self._account(call.path)
        counts = {kind: len(shelf) for kind, shelf in account.shelves.items()}
        return {**self._summary(account), "objects": counts}

    def connect(self, call: ControlCall[inputs.ConnectInput]) -> Json:
        account = self._account(call.path)
        held = businesses.grant(self._world, account, call.data.flow)
        expires_in = 3600 if call.data.flow == "app" else None
        access, refresh = businesses.issue_token(self._world, held, expires_in=expires_in)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "stripe_user_id": account.id,
            "install": held.install_id,
        }

    def disconnect(self, call: ControlCall[Nothing]) -> Json:
        return {"revoked": businesses.revoke(self._world, self._account(call.path))}

    def restricted_key(self, call: ControlCall[inputs.PermissionsInput]) -> Json:
        key = businesses.restricted_key(self._world, self._account(call.path), call.data.permissions)
        return {"key": key.secret}

    def create_product(self, call: ControlCall[inputs.ProductInput]) -> Json:
        account, wish = self._account(call.path), call.data
        currency = wish.currency or account.currency
        product, price = new_product(self._world, account, wish.name, wish.unit_amount, currency, emit_events=False)
        product.update(description=wish.description, metadata=dict(wish.metadata))
        emit(self._world, account, "product.created", product)
        if price is not None:
            emit(self._world, account, "price.created", price)
        return {"product": product["id"], "price": price["id"] if price else None}

    def create_customer(self, call: ControlCall[inputs.CustomerInput]) -> Json:
        account = self._account(call.path)
        return shown(self._world, account, make_customer(self._world, account, call.data))

    def create_payment(self, call: ControlCall[inputs.PaymentInput]) -> Json:
        return make_payment(self._world, self._account(call.path), call.data)

    def create_refund(self, call: ControlCall[inputs.RefundInput]) -> Json:
        account, wish = self._account(call.path), call.data
        refund = refunds.create(
            self._world,
            account,
            self._charge(account, wish.payment),
            amount=wish.amount,
            reason=wish.reason,
            metadata=dict(wish.metadata),
            fee=wish.fee,
            settled_amount=wish.settled_amount,
            exchange_rate=wish.exchange_rate,
            refund_application_fee=wish.refund_application_fee,
            pending=wish.pending,
        )
        return shown(self._world, account, refund)

    def fail_refund(self, call: ControlCall[inputs.FailInput]) -> Json:
        account, refund = self._load(call.path, "refund")
        reason = call.data.code or "expired_or_canceled_card"
        return shown(self._world, account, refunds.fail(self._world, account, refund, reason))

    def succeed_refund(self, call: ControlCall[Nothing]) -> Json:
        account, refund = self._load(call.path, "refund")
        return shown(self._world, account, refunds.succeed(self._world, account, refund))

    def create_dispute(self, call: ControlCall[inputs.DisputeInput]) -> Json:
        account, wish = self._account(call.path), call.data
        dispute = disputes.create(
            self._world,
            account,
            self._charge(account, wish.payment),
            amount=wish.amount,
            fee=wish.fee,
            reason=wish.reason,
            inquiry=wish.inquiry,
            withdraw=wish.withdraw,
        )
        return shown(self._world, account, dispute)

    def withdraw(self, call: ControlCall[Nothing]) -> Json:
        account, dispute = self._load(call.path, "dispute")
        disputes.withdraw_funds(self._world, account, dispute)
        return shown(self._world, account, dispute)

    def evidence(self, call: ControlCall[inputs.EvidenceInput]) -> Json:
        account, dispute = self._load(call.path, "dispute")
        disputes.submit_evidence(self._world, account, dispute, countered_fee=call.data.countered_fee)
        return shown(self._world, account, dispute)

    def close(self, call: ControlCall[inputs.CloseInput]) -> Json:
        account, dispute = self._load(call.path, "dispute")
        disputes.close(
            self._world,
            account,
            dispute,
            call.data.outcome,
            fee_returned=call.data.fee_returned,
            countered_fee_returned=call.data.countered_fee_returned,
        )
        return shown(self._world, account, dispute)

    def create_payout(self, call: ControlCall[inputs.PayoutInput]) -> Json:
        account, wish = self._account(call.path), call.data
        currency = (wish.currency or account.currency).lower()
        if wish.automatic:
            payout = payouts.create_automatic(
                self._world,
                account,
                currency,
                include_pending=wish.include_pending,
                only=wish.balance_transactions,
                arrival_days=wish.arrival_days,
            )
        else:
            payout = payouts.create_manual(self._world, account, wish.amount or 0, currency, method=wish.method)
        if wish.until != "pending":
            payouts.advance(self._world, account, payout)
        if wish.until == "paid":
            payouts.pay(self._world, account, payout)
        return shown(self._world, account, payout)

    def advance_payout(self, call: ControlCall[Nothing]) -> Json:
        account, payout = self._load(call.path, "payout")
        return shown(self._world, account, payouts.advance(self._world, account, payout))

    def pay_payout(self, call: ControlCall[Nothing]) -> Json:
        account, payout = self._load(call.path, "payout")
        return shown(self._world, account, payouts.pay(self._world, account, payout))

    def cancel_payout(self, call: ControlCall[Nothing]) -> Json:
        account, payout = self._load(call.path, "payout")
        return shown(self._world, account, payouts.cancel(self._world, account, payout))

    def fail_payout(self, call: ControlCall[inputs.FailInput]) -> Json:
        account, payout = self._load(call.path, "payout")
        code = call.data.code or "account_closed"
        return shown(self._world, account, payouts.fail(self._world, account, payout, code))

    def create_row(self, call: ControlCall[inputs.RowInput]) -> Json:
        account, wish = self._account(call.path), call.data
        currency = (wish.currency or account.currency).lower()
        row = ledger.post(
            self._world,
            account,
            kind=wish.type,
            category=wish.reporting_category,
            amount=wish.amount,
            currency=currency,
            source=wish.source,
            description=wish.description,
            fees=[ledger.fee_line(f.amount, currency, f.type, f.description) for f in wish.fee_details],
            available_on=wish.available_on,
        )
        return shown(self._world, account, row)

    def show_ledger(self, call: ControlCall[Nothing]) -> Json:
        account = self._account(call.path)
        return {
            "balance": ledger.balance(self._world, account),
            "posted_minor": account.posted_minor,
            "rows": ledger.ledger_rows(account),
            "problems": ledger.check(self._world, account),
        }

    def show_object(self, call: ControlCall[Nothing]) -> Json:
        account = self._account(call.path)
        item = account.find(call.path["object_id"])
        if item is None:
            raise no_such("object", call.path["object_id"])
        return shown(self._world, account, item)

    def _account(self, path: Any) -> Account:
        account = self._world.accounts.get(path["account"])
        if account is None:
            raise no_such("account", path["account"], "account")
        return account

    def _load(self, path: Any, kind: str) -> tuple[Account, Json]:
        account = self._account(path)
        item = account.get(kind, path[kind])
        if item is None:
            raise no_such(kind, path[kind])
        return account, item

    def _charge(self, account: Account, payment_id: str) -> Json:
        intent = account.get("payment_intent", payment_id)
        charge = account.get("charge", intent["latest_charge"] or "" if intent else payment_id)
        if charge is None:
            raise no_such("payment", payment_id, "payment")
        return charge

    def _summary(self, account: Account) -> Json:
        return {
            "id": account.id,
            "name": account.name,
            "email": account.email,
            "country": account.country,
            "currency": account.currency,
            "secret_key": account.secret_key,
            "platform": account is self._world.platform,
            "connected": [g.flow for g in self._world.grants if g.account == account.id and g.active],
        }


__all__ = ["money_control"]
