"""Workers, and the last run of their reaper."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.tables.base import Base


class Worker(Base):
    """A worker process, by its own word."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    boot_id: Mapped[str]
    pid: Mapped[int]
    queues: Mapped[list[str]]
    num_gpus: Mapped[int]
    slots: Mapped[int]
    gpus: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """[{name, memory_bytes}] of each."""
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Of the machine."""
    versions: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """{package: version} of duet and of what it trains with."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    draining_at: Mapped[datetime | None]
    """Since when it takes no more jobs, because its operator said so."""
    blocked: Mapped[str | None]
    """Why it takes no jobs: their output could not be written; None: it can."""
    leaves_when_empty: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it ends by itself once it drains and runs nothing."""
    gone_at: Mapped[datetime | None]


class ReaperRun(Base):
    """The reaper's last run: one row, by which an outage of all workers is noticed."""

    __tablename__ = "sweeps"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_run_at: Mapped[datetime] = mapped_column("last_sweep_at")
    hold_until: Mapped[datetime]
    """No lease expires before: after an outage the workers get one lease to report again."""
