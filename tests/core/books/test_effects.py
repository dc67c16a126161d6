"""What documents do to accounts: balanced, known by balance transaction, the same as their debits and credits."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books.documents import (
    MONEY,
    CreditNote,
    Deposit,
    DocumentKind,
    Expense,
    LineKind,
    MoneyDocument,
    Refund,
    Repayment,
    SaleLine,
    SalesReceipt,
)
from core.books.effects import ClearingEffect, clearing_effects, entries, role_totals
from core.books.ledger_lines import RECEIVABLE, SALES_TAX, ledger_lines
from tests.core.accounting import documents as make

AMOUNT = st.integers(min_value=1, max_value=10**12)
TAX = st.integers(min_value=0, max_value=10**11)
ID = st.sampled_from([None, "txn_1", "txn_2", "txn_3"])
CLEARING = make.CLEARING.external_id


@st.composite
def sale_lines(draw: st.DrawFn) -> tuple[SaleLine, ...]:
    """Services, and a discount that takes less away than they cost."""
    nets = draw(st.lists(AMOUNT, min_size=1, max_size=5))
    lines = [make.line(net, draw(TAX), tax_code_name=draw(st.sampled_from(["State 8 %", "Zero"]))) for net in nets]
    discount = draw(st.integers(min_value=0, max_value=sum(nets) - 1))
    if discount:
        lines.append(make.line(-discount, -draw(st.integers(0, discount)), kind=LineKind.DISCOUNT))
    return tuple(lines)


@st.composite
def a_document(draw: st.DrawFn) -> MoneyDocument:
    kind = draw(st.sampled_from(sorted(MONEY)))
    known = draw(ID)
    match kind:
        case DocumentKind.INVOICE:
            return make.invoice(*draw(sale_lines()))
        case DocumentKind.PAYMENT:
            return make.payment(draw(AMOUNT))
        case DocumentKind.SALES_RECEIPT | DocumentKind.REFUND:
            made = make.sold(SalesReceipt if kind is DocumentKind.SALES_RECEIPT else Refund, *draw(sale_lines()))
            account = draw(st.sampled_from([make.CLEARING, make.HELD]))
            return replace(made, balance_transaction_id=known, account=account)
        case DocumentKind.CREDIT_NOTE:
            return credit_note(*draw(sale_lines()))
        case DocumentKind.REPAYMENT:
            return repayment(draw(AMOUNT), known)
        case DocumentKind.EXPENSE | DocumentKind.DEPOSIT:
            parts = draw(st.lists(st.tuples(AMOUNT, TAX, ID), min_size=1, max_size=6))
            lines = [make.account_line(net, tax, balance_transaction_id=own) for net, tax, own in parts]
            return make.booked(Expense if kind is DocumentKind.EXPENSE else Deposit, *lines)
        case _:
            accounts = draw(st.permutations([make.CLEARING, make.BANK, make.HELD]))
            moved = make.transfer(draw(AMOUNT), balance_transaction_id=known)
            return replace(moved, from_account=accounts[0], to_account=accounts[1])


def credit_note(*lines: SaleLine) -> CreditNote:
    return CreditNote("TR-1", make.CUSTOMER.step, make.DAY, "USD", lines, "memo")


def repayment(amount: int, known: str | None = "txn_Example") -> Repayment:
    return Repayment(
        "TR-1", make.CUSTOMER.step, "credit_note", make.DAY, "USD", amount, make.CLEARING, "memo", make.WHY, known
    )


def by_name(found: Sequence[MoneyDocument]) -> dict[str, int]:
    """The trial balance as the debits and credits give it, by the accounts' names."""
    totals: dict[str, int] = {}
    for document in found:
        for line in ledger_lines(document):
            change = (line.debit_minor or 0) - (line.credit_minor or 0)
            totals[line.account_name] = totals.get(line.account_name, 0) + change
    return totals


NAMES = {
    "79": "Session income",
    "91": "Stripe clearing",
    "92": "Stripe fees",
    "93": "Stripe disputes held",
    "94": "Checking",
    RECEIVABLE: RECEIVABLE,
    SALES_TAX: SALES_TAX,
}


@given(document=a_document())
def test_every_document_balances(document: MoneyDocument) -> None:
    assert sum(entry.amount_minor for entry in entries(document)) == 0
    lines = ledger_lines(document)
    assert sum(line.debit_minor or 0 for line in lines) == sum(line.credit_minor or 0 for line in lines)
    assert all((line.debit_minor is None) != (line.credit_minor is None) and line.why for line in lines)
    assert len({line.group for line in lines}) == 1


@given(found=st.lists(a_document(), max_size=8))
def test_the_totals_are_those_of_the_debits_and_credits(found: list[MoneyDocument]) -> None:
    totals = role_totals(found)
    assert sum(totals.values()) == 0
    assert {name: amount for name, amount in by_name(found).items() if amount} == {
        NAMES[account]: amount for account, amount in totals.items() if amount
    }


@given(found=st.lists(a_document(), max_size=8))
def test_effects_sum_to_what_moved_on_clearing(found: list[MoneyDocument]) -> None:
    effects = [effect for document in found for effect in clearing_effects(document, CLEARING)]
    assert sum(effect.amount_minor for effect in effects) == role_totals(found).get(CLEARING, 0)


@given(parts=st.lists(st.tuples(AMOUNT, TAX, ID), min_size=1, max_size=6), is_spent=st.booleans())
def test_each_balance_transaction_keeps_its_own_share(parts: list[tuple[int, int, str | None]], is_spent: bool) -> None:
    lines = [make.account_line(net, tax, balance_transaction_id=known) for net, tax, known in parts]
    effects = clearing_effects(make.booked(Expense if is_spent else Deposit, *lines), CLEARING)
    expected: dict[str | None, int] = {}
    for net, tax, known in parts:
        expected[known] = expected.get(known, 0) + (-1 if is_spent else 1) * (net + tax)
    assert {effect.balance_transaction_id: effect.amount_minor for effect in effects} == expected


@pytest.mark.parametrize(
    ("document", "moved"),
    [
        (make.invoice(), None),
        (credit_note(make.line()), None),
        (make.payment(25000), ClearingEffect(None, 25000)),
        (make.sold(SalesReceipt, make.line(10000, 825)), ClearingEffect("txn_Example", 10825)),
        (make.sold(Refund, make.line(10000, 825)), ClearingEffect("txn_Example", -10825)),
        (make.sold(Refund, make.line(20000, 1650), account=make.HELD), None),
        (repayment(10825), ClearingEffect("txn_Example", -10825)),
        (make.booked(Expense, make.account_line(707, 71)), ClearingEffect("txn_Example", -778)),
        (make.booked(Deposit, make.account_line(1500)), ClearingEffect("txn_Example", 1500)),
        (make.transfer(209921), ClearingEffect("txn_Example", -209921)),
        (make.transfer(42650, from_account=make.BANK, to_account=make.CLEARING), ClearingEffect("txn_Example", 42650)),
        (make.transfer(100, from_account=make.BANK, to_account=make.HELD), None),
    ],
)
def test_what_reaches_and_leaves_clearing(document: MoneyDocument, moved: ClearingEffect | None) -> None:
    assert clearing_effects(document, CLEARING) == ([moved] if moved else [])


def test_a_refund_and_its_two_halves_lead_to_the_same_balance() -> None:
    whole = make.sold(Refund, make.line(10000, 825))
    halves = [credit_note(*whole.lines), repayment(whole.total_minor)]
    assert {**role_totals([whole]), RECEIVABLE: 0} == role_totals(halves)


def test_input_tax_on_fees_is_taken_from_the_tax_that_is_owed() -> None:
    sale = make.sold(SalesReceipt, make.line(40000, 4000))
    fee = make.booked(Expense, make.account_line(707, 71))
    assert role_totals([sale, fee])[SALES_TAX] == -3929
    spent = [(line.account_name, line.debit_minor, line.credit_minor) for line in ledger_lines(fee)]
    assert spent == [("Stripe fees", 707, None), (SALES_TAX, 71, None), ("Stripe clearing", None, 778)]
