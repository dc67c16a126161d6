"""The documents of an item: planned, frozen with what they do to the clearing account, dropped when facts left them."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy import func, select

from core.books.documents import DocumentKind, MoneyDocument
from core.books.effects import clearing_effects
from core.books.ledger_lines import currency_of
from core.books.roles import AccountRole
from core.db.models import (
    BooksDocument,
    ClearingLine,
    DocumentState,
    ItemKind,
    Operation,
    OperationState,
    Payment,
    RoleVersion,
    SyncItem,
)
from core.errors import StopError
from core.reasons import Reason
from core.sync.documents import freeze, thaw
from core.sync.items import difference, is_begun, off_by
from core.sync.planners import after_freeze, plan
from core.sync.planners.offers import offer_late_fees
from core.sync.posting_state import PostingState

_GROWING = frozenset({ItemKind.REFUND, ItemKind.DISPUTE, ItemKind.PAYOUT})
"""Kinds whose story goes on after its first documents stand: a dispute is lost, a payout comes back."""

_SOLD = frozenset({DocumentKind.INVOICE, DocumentKind.SALES_RECEIPT})


class PostingPlan(PostingState):
    """Plans and freezes the documents of an item. What stands, or may stand, is never planned anew."""

    def _rows(self) -> list[BooksDocument]:
        return self.pass_.shelf.documents(self.item.id)

    async def _grow(self, rows: Sequence[BooksDocument]) -> bool:
        """Freeze what should stand beside ``rows`` and does not; say whether there was anything.

        Raises:
            StopError: there is no plan, or Stripe's facts contradict what stands.
        """
        if self.item.kind not in _GROWING and self._is_whole(rows):
            return False
        planned = await plan(self.session, self.item, self.lane.profile)
        parts = self._parts(planned)
        frozen = {row.step: row for row in rows}
        missing = [part for part in parts if part.step not in frozen]
        if missing or self.item.wanted > self.item.done:
            self._compare(parts, frozen)
        if missing and self.item.kind is ItemKind.SALE and not frozen.keys() <= {part.step for part in parts}:
            # Half of the sale stands in one style and the setting has become the other: never both.
            raise StopError(Reason.REFUSED)
        clearing = await self._clearing_account()
        made_before = await self._made_before() if missing and self.item.plan_version else {}
        for part in missing:
            again = made_before.get(part.step, 0)
            self._freeze(_once_more(part, again) if again else part, parts.index(part), clearing)
        if missing:
            await after_freeze(self.session, self.item, planned)
            self._tell_waiting()
        return bool(missing)

    async def _made_before(self) -> dict[str, int]:
        """Return how often each step has stood in the books before it was removed there."""
        statement = (
            select(BooksDocument.step, func.count())
            .where(
                BooksDocument.item_id == self.item.id,
                BooksDocument.state == DocumentState.DROPPED,
                BooksDocument.posted_at.is_not(None),
            )
            .group_by(BooksDocument.step)
        )
        return {str(step): int(count) for step, count in await self.session.execute(statement)}

    def _is_whole(self, rows: Sequence[BooksDocument]) -> bool:
        """Whether nothing was dropped since ``rows`` were planned: every dropping raises the version of the plan."""
        return any(row.plan_version == self.item.plan_version for row in rows)

    def _parts(self, planned: Sequence[MoneyDocument]) -> list[MoneyDocument]:
        return [part for document in planned for part in self.lane.books.parts(document)]

    def _compare(self, parts: Sequence[MoneyDocument], frozen: dict[str, BooksDocument]) -> None:
        """Stop when a document stands with an amount that Stripe has changed since."""
        for part in parts:
            row = frozen.get(part.step)
            if row is not None and row.currency.lower() != part.currency.lower():
                # Half of the sale stands in one currency and the setting has become the other: never both.
                raise StopError(Reason.REFUSED)
            if row is not None and row.total_minor != part.total_minor:
                # The news is told once: a person who retries has compared both.
                self.item.done = self.item.wanted
                detail = difference(row.total_minor, part.total_minor, row.currency)
                raise StopError(Reason.TOTALS_DIFFER, {"document": row.kind.value, **detail})

    async def _drop_outdated(self) -> None:
        """Let go of a plan that facts or mapping have left behind, as long as nothing of it can stand (F22)."""
        rows = self._rows()
        if not rows or not self._is_whole(rows):
            return
        begun = await self.session.execute(select(SyncItem.id).where(SyncItem.id == self.item.id, is_begun()))
        if begun.first() is not None:
            return
        planned = await plan(self.session, self.item, self.lane.profile)
        as_frozen = self._parts(planned) == [thaw(row.kind, row.content) for row in rows]
        if as_frozen and not await self._was_refused(rows):
            # The connection may have ended meanwhile, which lets go of what was taken up (F23).
            await after_freeze(self.session, self.item, planned)
            return
        for row in rows:
            row.state = DocumentState.DROPPED
        self.item.plan_version += 1
        await self.session.flush()

    async def _was_refused(self, rows: Sequence[BooksDocument]) -> bool:
        refused = select(Operation.step, Operation.plan_version).where(
            Operation.item_id == self.item.id, Operation.state == OperationState.REJECTED
        )
        found = {(step, version) for step, version in (await self.session.execute(refused)).all()}
        return any((row.step, row.plan_version) in found for row in rows)

    def _freeze(self, document: MoneyDocument, position: int, clearing_account_id: str | None) -> None:
        row = BooksDocument(
            tenant_id=self.item.tenant_id,
            id=uuid4(),
            connection_id=self.connection_id,
            item_id=self.item.id,
            step=document.step,
            kind=document.kind,
            plan_version=self.item.plan_version,
            state=DocumentState.PLANNED,
            reference=document.reference,
            book_date=document.date,
            total_minor=document.total_minor,
            currency=document.currency,
            content=freeze(document),
            created_at=self.now,
            position=position,
        )
        self.session.add(row)
        self.pass_.shelf.add_document(row)
        if clearing_account_id is not None:
            self.session.add_all(self._clearing_lines(row.id, document, clearing_account_id))

    def _clearing_lines(
        self, document_id: UUID, document: MoneyDocument, clearing_account_id: str
    ) -> list[ClearingLine]:
        """Return what a document does to the clearing account; a sale's money has its payment's balance transaction."""
        of_payment = self.payment.stripe_balance_transaction_id if self.payment else None
        return [
            ClearingLine(
                tenant_id=self.item.tenant_id,
                document_id=document_id,
                stripe_balance_transaction_id=effect.balance_transaction_id or of_payment,
                amount_minor=effect.amount_minor,
                currency=currency_of(document),
            )
            for effect in clearing_effects(document, clearing_account_id)
        ]

    async def _clearing_account(self) -> str | None:
        if self.lane.profile.profile is not None:
            chosen = self.lane.profile.profile.roles.get(AccountRole.CLEARING)
            return chosen.account_id if chosen is not None else None
        statement = (
            select(RoleVersion.account_id)
            .where(RoleVersion.connection_id == self.connection_id, RoleVersion.role == AccountRole.CLEARING)
            .order_by(RoleVersion.version.desc())
            .limit(1)
        )
        return (await self.session.execute(statement)).scalar_one_or_none()

    def _tell_waiting(self) -> None:
        """Let refunds and disputes go on that waited for this sale."""
        if self.payment is not None:
            self.pass_.sold[self.payment.id] = self.payment

    async def _settled_in_books(self) -> None:
        """Everything that should stand stands."""
        if self.payment is not None:
            self.pass_.booked[self.payment.id] = self.payment
            self.pass_.posted.payments += self.item.done == 0
            self._compare_with_news(self.payment)
        self._finish()
        self._tell_waiting()
        if self.item.kind is ItemKind.FEES:
            await offer_late_fees(self.session, self.item, now=self.now)

    def _compare_with_news(self, payment: Payment) -> None:
        """Stop when Stripe has changed the amount of a sale while it was under way: later nobody would look (F22)."""
        sold = (row for row in self._rows() if row.kind in _SOLD)
        off = next((off for row in sold if (off := off_by(payment, row)) is not None), None)
        if off is not None and self.item.done == 0:
            # The news is told once: a person who retries has compared both.
            self.item.done = self.item.wanted
            raise StopError(Reason.TOTALS_DIFFER, off)


def _once_more(document: MoneyDocument, times: int) -> MoneyDocument:
    """Return a document under the next reference: the books may keep a number that was voided for ever."""
    return replace(document, reference=f"{document.reference}-{times + 1}")
