"""A business in plain values: Stripe's side as balance transactions, and the documents that are planned of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from uuid import UUID, uuid5

from core.books.categories import BookedBy, booked_by, books_its_fee
from core.books.disputes import plan_dispute
from core.books.documents import Customer, Invoice, LineKind, MoneyDocument, SalesReceipt
from core.books.effects import entries, role_totals
from core.books.facts import (
    BalanceTransactionFacts,
    DisputeFacts,
    FactLine,
    FeePart,
    GivenBack,
    OriginalSale,
    PayoutFacts,
    RefundFacts,
    SaleFacts,
)
from core.books.fees import plan_fees
from core.books.ledger_lines import RECEIVABLE, SALES_TAX
from core.books.mapping import MappingChoice, MappingRules
from core.books.movements import plan_movement
from core.books.payouts import plan_payout
from core.books.posting import plan_sale
from core.books.profile import BookAccount, BooksProfile, BookTaxCode
from core.books.refunds import plan_refund
from core.books.roles import AccountRole, BookkeepingSettings, RoleChoice

ROLES = {
    AccountRole.CLEARING: "Stripe clearing",
    AccountRole.BANK: "Checking",
    AccountRole.FEES: "Stripe fees",
    AccountRole.PLATFORM_FEES: "Booking platform fees",
    AccountRole.DISPUTE_FEES: "Dispute fees",
    AccountRole.HELD: "Stripe disputes held",
    AccountRole.CHARGEBACKS: "Chargebacks (contra-income)",
    AccountRole.TIPS: "Tips received",
    AccountRole.DISCOUNTS: "Discounts given",
    AccountRole.CURRENCY_DIFFERENCES: "Currency differences",
    AccountRole.RESERVE: "Stripe reserve",
    AccountRole.OPENING: "Opening balance",
}
INCOME = ("Session income", "Product income", "Coaching income", "Client deposits")
CLEARING = ROLES[AccountRole.CLEARING]
DAY_1 = date(2026, 3, 1)
ANNA = Customer("c1", "Anna Berg", "anna@example.com", "usd")
_NAMES = UUID(int=7)


def service(name: str) -> UUID:
    return uuid5(_NAMES, name)


def make_books(
    currency: str = "usd",
    *,
    bank: str = "Checking",
    codes: Iterable[BookTaxCode] = (),
    settings: BookkeepingSettings | None = None,
) -> BooksProfile:
    """Books whose accounts are named by what they are, so that a trial balance reads like the example's."""
    roles = {**ROLES, AccountRole.BANK: bank}
    banks = {roles[AccountRole.CLEARING], bank}
    return BooksProfile(
        name="The books",
        home_currency=currency,
        accounts={name: BookAccount(name, name, True, None, name in banks) for name in (*roles.values(), *INCOME)},
        tax_codes={code.external_id: code for code in codes},
        roles={role: RoleChoice(name, 1, "Anna Berg") for role, name in roles.items()},
        settings=settings or BookkeepingSettings(),
    )


def make_rules(**services: tuple[str, str | None]) -> MappingRules:
    """Map services by name to an income account and a tax code."""
    return MappingRules(
        {
            service(name): MappingChoice(f"m-{name}", 1, "Anna Berg", account, code, is_default=False)
            for name, (account, code) in services.items()
        },
        None,
    )


def sold(name: str, net: int, tax: int = 0, *, kind: LineKind = LineKind.SERVICE, has_tax: bool = True) -> FactLine:
    return FactLine(kind, service(name), name, name, net, tax, has_tax, "line.amount", "Stripe line")


def parts(**amounts: int) -> tuple[FeePart, ...]:
    return tuple(FeePart(name, amount, name) for name, amount in amounts.items())


@dataclass
class Sale:
    facts: SaleFacts
    charge: BalanceTransactionFacts
    history: list[tuple[int, GivenBack]] = field(default_factory=list)

    @property
    def left_minor(self) -> int:
        return self.facts.amount_minor - sum(step.amount_minor for _, step in self.history)


class Story:
    """What happened at Stripe, one movement after the other, and how each of its objects is booked.

    Plans are pure, so each object can be planned at any time, in any order and again: a document that stands never
    changes.
    """

    def __init__(self, books: BooksProfile, rules: MappingRules) -> None:
        self.books = books
        self.rules = rules
        self.today = DAY_1
        self.starts_on = DAY_1
        self.transactions: list[BalanceTransactionFacts] = []
        self.plans: dict[str, Callable[[], Sequence[MoneyDocument]]] = {}
        self.posted: dict[tuple[str, str], MoneyDocument] = {}
        self._count = 0

    # what happens at Stripe

    def name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:06d}"

    def move(
        self,
        category: str,
        amount: int,
        fees: tuple[FeePart, ...] = (),
        *,
        source: str | None = None,
        type_: str | None = None,
    ) -> BalanceTransactionFacts:
        """Let money move, and plan what nobody else books."""
        fee = sum(part.amount_minor for part in fees)
        made = BalanceTransactionFacts(
            stripe_id=self.name("txn"),
            type=type_ or category,
            reporting_category=category,
            amount_minor=amount,
            fee_minor=fee,
            net_minor=amount - fee,
            currency=self.books.home_currency,
            fee_parts=fees,
            source_id=source,
            payout_id=None,
            description="",
            book_date=self.today,
            in_scope=self.today >= self.starts_on,
        )
        self.transactions.append(made)
        if booked_by(category, made.type, source) is BookedBy.MOVEMENT:
            self.plans[made.stripe_id] = lambda: plan_movement(made, self.books, reference=str)
        if fee and not books_its_fee(category, made.type, source):
            self.plans[f"fees {self.today}"] = self._fees_of(self.today)
        return made

    def _fees_of(self, day: date) -> Callable[[], Sequence[MoneyDocument]]:
        def plan() -> Sequence[MoneyDocument]:
            rows = [
                row
                for row in self.transactions
                if row.book_date == day
                and row.fee_minor
                and not books_its_fee(row.reporting_category, row.type, row.source_id)
            ]
            return plan_fees(rows, self.books, reference=str)

        return plan

    def sell(
        self, *lines: FactLine, fees: tuple[FeePart, ...] = (), currency: str | None = None, settled: int | None = None
    ) -> Sale:
        amount = sum(line.amount_minor + line.tax_minor for line in lines)
        source = self.name("pi")
        charge = self.move("charge", amount if settled is None else settled, fees, source=f"ch{source[2:]}")
        home = self.books.home_currency
        facts = SaleFacts(
            source_id=source,
            stripe_charge_id=f"ch{source[2:]}",
            stripe_balance_transaction_id=charge.stripe_id,
            amount_minor=amount,
            currency=currency or home,
            settled_minor=charge.amount_minor,
            settled_currency=home,
            book_date=self.today,
            customer=ANNA,
            lines=lines,
        )
        if charge.in_scope:
            self.plans[source] = lambda: plan_sale(facts, self.rules, self.books, reference="TO-1")
        return Sale(facts, charge)

    def original(self, sale: Sale) -> OriginalSale:
        documents = plan_sale(sale.facts, self.rules, self.books, reference="TO-1")
        document = documents[0]
        assert isinstance(document, Invoice | SalesReceipt)
        return OriginalSale(
            source_id=sale.facts.source_id,
            customer=sale.facts.customer,
            lines=document.lines,
            total_minor=document.total_minor,
            paid_minor=sale.facts.amount_minor,
            paid_currency=sale.facts.currency,
        )

    def refund(self, sale: Sale, amount: int, *, costs: int | None = None) -> RefundFacts:
        """Give ``amount`` of the client's currency back, for ``costs`` of ours."""
        source = self.name("re")
        taken = self.move("refund", -(amount if costs is None else costs), source=source)
        history = tuple(step for _, step in sale.history)
        facts = RefundFacts(source, amount, sale.facts.currency, "succeeded", self.original(sale), taken, None, history)
        sale.history.append((len(self.transactions), GivenBack(source, amount)))
        self.plans[source] = lambda: plan_refund(facts, self.books, reference=str)
        return facts

    def refund_fails(self, sale: Sale, refund: RefundFacts, *, brings: int | None = None) -> None:
        assert refund.taken is not None
        amount = -refund.taken.amount_minor if brings is None else brings
        returned = self.move("refund_failure", amount, source=refund.source_id)
        failed = replace(refund, status="failed", returned=returned)
        sale.history.append((len(self.transactions), GivenBack(refund.source_id, -refund.amount_minor)))
        self.plans[refund.source_id] = lambda: plan_refund(failed, self.books, reference=str)

    def dispute(self, sale: Sale, fee: int, *, costs: int | None = None) -> DisputeFacts:
        source = self.name("dp")
        amount = sale.left_minor
        fees = parts(stripe_fee=fee) if fee else ()
        taken = self.move("dispute", -(amount if costs is None else costs), fees, source=source, type_="adjustment")
        history = tuple(step for _, step in sale.history)
        facts = DisputeFacts(
            source, amount, sale.facts.currency, "needs_response", None, self.original(sale), (taken,), history
        )
        return self._know(facts)

    def _know(self, facts: DisputeFacts) -> DisputeFacts:
        self.plans[facts.source_id] = lambda: plan_dispute(facts, self.books, reference=str)
        return facts

    def dispute_is_lost(self, dispute: DisputeFacts) -> DisputeFacts:
        return self._know(replace(dispute, status="lost", closed_on=self.today))

    def dispute_is_won(self, dispute: DisputeFacts, *, fee_returned: int = 0) -> DisputeFacts:
        fees = parts(stripe_fee=-fee_returned) if fee_returned else ()
        back = self.move(
            "dispute_reversal", -dispute.movements[0].amount_minor, fees, source=dispute.source_id, type_="adjustment"
        )
        return self._know(replace(dispute, status="won", closed_on=self.today, movements=(*dispute.movements, back)))

    def pay_out(self, amount: int, *, days: int = 0) -> PayoutFacts:
        """Let a payout leave; negative amounts are taken from the bank."""
        source = self.name("po")
        left = self.move("payout", -amount, source=source)
        arrival = self.today + timedelta(days=days)
        return self.tell(
            PayoutFacts(source, amount, self.books.home_currency, "paid", arrival, automatic=True, left=left)
        )

    def tell(self, facts: PayoutFacts) -> PayoutFacts:
        """Let Stripe say something of a payout."""
        self.plans[facts.source_id] = lambda: plan_payout(facts, self.books, reference=str)
        return facts

    def payout_fails(self, payout: PayoutFacts, *, was_booked: bool) -> None:
        returned = self.move("payout_reversal", payout.amount_minor, source=payout.source_id, type_="payout_failure")
        self.tell(replace(payout, status="failed", returned=returned, is_booked=was_booked))

    # what stands in the books

    def post(self, sources: Iterable[str] | None = None) -> None:
        """Book every object as it is now; what stands must be planned again exactly as it stands."""
        for source in self.plans if sources is None else sources:
            for document in self.plans[source]():
                known = self.posted.setdefault((source, document.step), document)
                assert known == document
                assert sum(entry.amount_minor for entry in entries(document)) == 0
                assert document.total_minor > 0

    @property
    def documents(self) -> list[MoneyDocument]:
        return list(self.posted.values())

    def totals(self) -> dict[str, int]:
        return role_totals(self.documents)

    def clearing(self) -> int:
        return self.totals().get(CLEARING, 0)

    def trial_balance(self, *, tax: str) -> dict[str, int]:
        """Return every account, debit positive, the books' own by the names of the example."""
        own = {RECEIVABLE: "Accounts receivable", SALES_TAX: tax}
        return {own.get(name, name): amount for name, amount in self.totals().items()}
