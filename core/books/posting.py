"""Facts + mapping + books -> documents, as a pure function. Same input, same documents, to the byte.

A sale becomes an invoice of what the client paid, gross, and a payment that brings it to the Stripe clearing account.
Nothing here rounds by accident: where an amount must be spread, :func:`rescale` gives every cent away.
"""

from collections.abc import Sequence
from dataclasses import replace

from core.books.common import settled_elsewhere
from core.books.documents import Invoice, LineKind, Payment, SaleLine, SalesReceipt, Why
from core.books.facts import FactLine, SaleFacts
from core.books.mapping import MappingChoice, MappingRules
from core.books.profile import BooksProfile, BookTaxCode
from core.books.roles import ROLE_NAMES, AccountRole, SaleStyle
from core.errors import StopError
from core.money import MoneyError, to_decimal
from core.reasons import Reason

TAX_TOLERANCE_MINOR = 1
"""A rate check may be off by this much for each line: Stripe rounds each line, the books each rate."""

_PPM = 1_000_000


def plan_sale(
    facts: SaleFacts, rules: MappingRules, books: BooksProfile, *, reference: str
) -> tuple[Invoice, Payment] | tuple[SalesReceipt]:
    """Build the documents of one sale: an invoice and its payment, or one receipt if the tenant wants it so.

    Args:
        facts: what Stripe says; its lines must add up to ``amount_minor``.
        rules: the mapping in force.
        books: the connected books.
        reference: lasting identity of both documents.

    Raises:
        StopError: with the reason why nothing can be posted yet.
    """
    check_sum(facts.lines, facts.amount_minor, facts.currency)
    amount, lines, memo = _in_home_currency(facts, books)
    clearing = books.role(AccountRole.CLEARING)
    chosen = books.roles[AccountRole.CLEARING]
    sale_lines = tuple(sale_line(line, rules, books) for line in lines)
    check_rates(sale_lines, _tolerance(facts, amount, books))
    why = Why(
        stripe_field="charge.amount" if amount == facts.amount_minor else "balance_transaction.amount",
        arithmetic=_arithmetic(facts, amount, books.home_currency),
        rule="Stripe clearing account",
        mapping_version=chosen.version or None,
        set_by=chosen.set_by or None,
    )
    if books.settings.sale_style is SaleStyle.RECEIPT:
        receipt = SalesReceipt(
            reference=reference,
            customer_step=facts.customer.step,
            date=facts.book_date,
            currency=books.home_currency,
            lines=sale_lines,
            account=clearing.ref,
            memo=memo,
            why=why,
            balance_transaction_id=facts.stripe_balance_transaction_id,
        )
        check_total(receipt.total_minor, amount, books)
        return (receipt,)
    invoice = Invoice(
        reference=reference,
        customer_step=facts.customer.step,
        date=facts.book_date,
        currency=books.home_currency,
        lines=sale_lines,
        memo=memo,
    )
    check_total(invoice.total_minor, amount, books)
    payment = Payment(
        reference=reference,
        customer_step=facts.customer.step,
        invoice_step=invoice.step,
        date=facts.book_date,
        currency=books.home_currency,
        amount_minor=amount,
        clearing_account_id=clearing.external_id,
        clearing_account_name=clearing.label,
        memo=memo,
        why=why,
    )
    return invoice, payment


def check_total(found: int, expected: int, books: BooksProfile) -> None:
    """Stop at documents that do not add up to what they stand for.

    Raises:
        StopError: ``LINES_DO_NOT_ADD_UP``.
    """
    if found != expected:
        raise _sum_error(found, expected, books.home_currency)


def check_sum(lines: tuple[FactLine, ...], amount_minor: int, currency: str) -> None:
    """Stop at lines that do not add up to their payment.

    Raises:
        StopError: ``LINES_DO_NOT_ADD_UP``.
    """
    found = sum(line.amount_minor + line.tax_minor for line in lines)
    if found != amount_minor:
        raise _sum_error(found, amount_minor, currency)


def _sum_error(found: int, expected: int, currency: str) -> StopError:
    return StopError(
        Reason.LINES_DO_NOT_ADD_UP,
        {"found_minor": found, "expected_minor": expected, "currency": currency},
    )


def _in_home_currency(facts: SaleFacts, books: BooksProfile) -> tuple[int, tuple[FactLine, ...], str]:
    """Return amount, lines and memo in the books' currency: what Stripe settled, if the client paid in another."""
    memo = sale_memo(facts)
    settled, currency = facts.settled_minor, facts.settled_currency
    if settled is not None and currency != books.home_currency:
        raise settled_elsewhere(currency or "", books)
    if facts.currency == books.home_currency:
        return facts.amount_minor, facts.lines, memo
    if settled is None:
        raise StopError(Reason.SETTLEMENT_PENDING, {"currency": facts.currency.upper()})
    paid = f"{to_decimal(facts.amount_minor, facts.currency)} {facts.currency.upper()}"
    return settled, _scaled(facts.lines, settled), f"{memo} | client paid {paid}"


def _scaled(lines: tuple[FactLine, ...], total_minor: int) -> tuple[FactLine, ...]:
    """Spread the settled amount over net and tax of every line, in their proportion, without losing a cent."""
    shares = rescale(total_minor, [part for line in lines for part in (line.amount_minor, line.tax_minor)])
    return tuple(replace(line, amount_minor=shares[2 * i], tax_minor=shares[2 * i + 1]) for i, line in enumerate(lines))


def rescale(total_minor: int, parts: Sequence[int]) -> list[int]:
    """Return ``parts`` in the same proportion, adding up to ``total_minor``; parts may be negative (discounts).

    Running totals are rounded half up and subtracted from one another, so no cent is lost and each part is off by less
    than one minor unit.

    Raises:
        MoneyError: if the parts add up to nothing while something is to be spread.
    """
    whole = sum(parts)
    if whole <= 0:
        raise MoneyError("nothing to spread the amount by")
    shares, running, given = [], 0, 0
    for part in parts:
        running += part
        reached = (2 * total_minor * running + whole) // (2 * whole)
        shares.append(reached - given)
        given = reached
    return shares


_ROLES = {LineKind.TIP: AccountRole.TIPS, LineKind.DISCOUNT: AccountRole.DISCOUNTS}
"""Kinds of lines with an account of their own, where the tenant chose one."""


def _choose(line: FactLine, rules: MappingRules, books: BooksProfile) -> MappingChoice:
    """Return the decision that holds for a line, with the account of its kind where one was chosen.

    Raises:
        StopError: ``SERVICE_NOT_MAPPED`` when a person must choose an account.
    """
    choice = rules.choose(line.service_id)
    role = _ROLES.get(line.kind)
    chosen = books.roles.get(role) if role is not None else None
    if chosen is None:
        if choice is None or choice.income_account_id is None:
            raise StopError(
                Reason.SERVICE_NOT_MAPPED, {"service": line.service_name, "service_id": str(line.service_id)}
            )
        return choice
    tax_code_id = choice.tax_code_id if choice is not None else None
    if line.kind is LineKind.TIP and (choice is None or choice.is_default) and not line.tax_minor:
        # What holds for anything else says nothing of tips, which are rarely taxed.
        tax_code_id = None
    return MappingChoice("", chosen.version, chosen.set_by, chosen.account_id, tax_code_id, is_default=False)


def sale_line(line: FactLine, rules: MappingRules, books: BooksProfile) -> SaleLine:
    """Return one line of the sale with the account and tax code that were chosen for it.

    Raises:
        StopError: a choice is missing, or what was chosen is not in use any more.
    """
    choice = _choose(line, rules, books)
    account = books.account(choice.income_account_id or "", service=line.service_name)
    code = _tax_code(books, choice, line)
    net, tax = line.amount_minor, line.tax_minor
    arithmetic = f"{net} + {tax} tax" if tax else f"{net}"
    if not line.has_tax and code is not None and code.rate_ppm:
        # Stripe knows nothing of tax here, so the price is gross and the mapped code says how much of it is tax.
        tax = included_tax(net, code.rate_ppm)
        arithmetic = f"{net} × {code.rate_ppm} / ({_PPM} + {code.rate_ppm}) = {tax} tax inside"
        net -= tax
    return SaleLine(
        kind=line.kind,
        service_id=str(line.service_id),
        service_name=line.service_name,
        description=line.description,
        amount_minor=net,
        tax_minor=tax,
        income_account_id=account.external_id,
        income_account_name=account.label,
        tax_code_id=code.external_id if code else None,
        tax_code_name=code.name if code else None,
        tax_rate_ppm=code.rate_ppm if code else None,
        tax_rate_id=code.rate_external_id if code else None,
        income_account_number=account.number,
        why=Why(
            stripe_field=line.stripe_field,
            arithmetic=arithmetic,
            rule=f"{line.found_by}; {_rule(choice, line)}",
            mapping_id=choice.mapping_id or None,
            mapping_version=choice.version,
            set_by=choice.set_by,
        ),
    )


def _rule(choice: MappingChoice, line: FactLine) -> str:
    if not choice.mapping_id:
        return f"account for {ROLE_NAMES[_ROLES[line.kind]]}"
    return "default mapping" if choice.is_default else "mapping of this service"


def _tax_code(books: BooksProfile, choice: MappingChoice, line: FactLine) -> BookTaxCode | None:
    if choice.tax_code_id is None:
        return None
    code = books.tax_codes.get(choice.tax_code_id)
    if code is None or not code.is_active:
        raise StopError(
            Reason.TAX_CODE_MISFIT,
            {
                "charged": percent(line.tax_minor, line.amount_minor),
                "tax_code": code.name if code else "The chosen tax code",
            },
        )
    return code


def included_tax(gross_minor: int, rate_ppm: int) -> int:
    """Return the tax inside a gross price, half a minor unit rounded away from zero, as tax offices do."""
    numerator, denominator = abs(gross_minor) * rate_ppm, _PPM + rate_ppm
    tax = (2 * numerator + denominator) // (2 * denominator)
    return tax if gross_minor >= 0 else -tax


def _tolerance(facts: SaleFacts, amount: int, books: BooksProfile) -> int:
    if facts.currency == books.home_currency or facts.amount_minor <= 0:
        return TAX_TOLERANCE_MINOR
    # What Stripe rounded before it converted grows with the rate, and spreading the amount rounds net and tax again.
    return TAX_TOLERANCE_MINOR * 2 + -(-amount // facts.amount_minor)


def check_rates(lines: Sequence[SaleLine], tolerance_minor: int) -> None:
    """Compare the tax with the rate of each code, over all of its lines: a discount shares the rounding of its sale."""
    by_code: dict[str, list[SaleLine]] = {}
    for line in lines:
        if line.tax_code_id is not None and line.tax_rate_ppm is not None:
            by_code.setdefault(line.tax_code_id, []).append(line)
    for group in by_code.values():
        if abs(sum(map(_misfit, group))) > tolerance_minor * len(group) * _PPM:
            worst = max(group, key=lambda line: abs(_misfit(line)))
            raise StopError(
                Reason.TAX_CODE_MISFIT,
                {
                    "charged": percent(worst.tax_minor, worst.amount_minor),
                    "tax_code": worst.tax_code_name,
                    "service": worst.service_name,
                },
            )


def _misfit(line: SaleLine) -> int:
    return line.tax_minor * _PPM - line.amount_minor * (line.tax_rate_ppm or 0)


def percent(tax_minor: int, net_minor: int) -> str:
    """Say a rate for people: 8.25 %."""
    if not net_minor:
        return "no tax"
    hundredths = (2 * tax_minor * 10_000 + net_minor) // (2 * net_minor)
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02d} %"


def sale_memo(facts: SaleFacts) -> str:
    """Return what the documents of a sale say of their origin."""
    parts = [facts.source_id, facts.stripe_charge_id if facts.stripe_charge_id != facts.source_id else None]
    return "Stripe " + " ".join(part for part in parts if part) + " | Tieout"


def _arithmetic(facts: SaleFacts, amount: int, currency: str) -> str:
    if facts.currency == currency:
        return f"{amount}"
    return f"{facts.amount_minor} {facts.currency} settled as {amount} {currency}"
