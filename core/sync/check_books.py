"""Asking for the books to be read back now, on a person's word."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import ConnectionStatus, ItemKind
from core.live import touch
from core.sync.drift import CHANGES_ID
from core.sync.items import books_connection, enqueue
from core.sync.verify import VERIFY_ID


async def check_books_now(session: AsyncSession, *, tenant_id: UUID, now: datetime) -> bool:
    """Let what we posted be read back from the books, and the clearing account's balance with it.

    Returns:
        False where no books can be asked.
    """
    books = await books_connection(session)
    if books is None or books.status is not ConnectionStatus.ACTIVE:
        return False
    for kind, source_id in ((ItemKind.CHANGES, CHANGES_ID), (ItemKind.VERIFY, VERIFY_ID)):
        await enqueue(session, tenant_id=tenant_id, connection_id=books.id, kind=kind, source_id=source_id, due_at=now)
    await touch(session, tenant_id)
    return True
