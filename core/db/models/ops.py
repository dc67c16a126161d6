"""What the operator of an installation looks at: which processes live, and what they counted. Nothing of any tenant."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.types import Base


class Process(Base):
    """One living part of the installation: a web process, or a worker. Its row is gone a day after its last beat.

    ``worked_at`` is when its worker last ended a pass over the queue; None where it has no worker, or not yet.
    """

    __tablename__ = "process"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    role: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]
    worked_at: Mapped[datetime | None]


class Tally(Base):
    """How often something happened from ``slot_at`` on, for ``minutes`` (five, or a whole day): all processes together.

    ``subject`` is a provider, or ``intake``; ``outcome`` is one of :mod:`core.tally`.
    """

    __tablename__ = "tally"

    minutes: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(16), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
