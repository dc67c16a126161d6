"""Several disputes of one payment: what the later ones lose is cut from what the earlier ones have left."""

from datetime import timedelta

import pytest

from core.db.models import BooksTaxCode
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.core.sync.test_attack_movements import (
    NOON,
    balance,
    dispute_row,
    moved,
    settle,
    shop,
    tell,
)

__all__ = ["shop"]

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)


@ON_SQLITE
async def test_three_disputes_that_lose_a_sale_in_parts_take_back_its_tax_to_the_cent(shop: Studio) -> None:
    taxable = next(code for code in await shop.ledger.list_tax_codes() if code.name == "Taxable")
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        session.add(
            BooksTaxCode(
                connection_id=shop.books.id, external_id=taxable.external_id, name=taxable.name, is_active=True,
                read_at=NOON,
            )
        )  # fmt: skip
    await shop.map(PORTRAIT.key, "Session income", tax_code_id=taxable.external_id)
    payment_id = await shop.pay(sale(amount=10001, tax=701))
    await settle(shop)
    assert balance(shop, "Sales tax payable") == -701
    # A third of the tax is 2.336...: rounded three times by itself it would come to a cent more than there was.
    for number, amount in enumerate((3333, 3334, 3334), start=1):
        name, lost_at = f"dp_{number}", NOON + timedelta(days=number)
        row = dispute_row(
            shop, payment_id, stripe_id=name, amount_minor=amount, status="lost", closed_at=lost_at,
            created_at=NOON + timedelta(hours=number),
        )  # fmt: skip
        await tell(shop, moved(shop, number, "dispute", -amount, source=name), disputes=(row,))
        await settle(shop)
    assert balance(shop, "Stripe disputes held") == 0
    assert balance(shop, "Sales tax payable") == 0
    assert balance(shop, "Chargebacks") == 9300
