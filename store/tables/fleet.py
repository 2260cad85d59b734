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
    """A worker process, as it reports itself."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    boot_id: Mapped[str]
    pid: Mapped[int]
    queues: Mapped[list[str]]
    num_gpus: Mapped[int]
    slots: Mapped[int]
    gpus: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """[{name, memory_bytes}] of each GPU."""
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Memory of the machine."""
    versions: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    """{package: version} of duet and of the training libraries."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    draining_at: Mapped[datetime | None]
    """Time at which an operator drained the worker."""
    blocked: Mapped[str | None]
    """Reason why the worker takes no jobs, being unable to run them; else None."""
    leaves_when_empty: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the worker ends by itself once it drains and runs nothing."""
    gone_at: Mapped[datetime | None]


class ReaperRun(Base):
    """The reaper's last run: one row, by which an outage of all workers is noticed."""

    __tablename__ = "sweeps"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_run_at: Mapped[datetime] = mapped_column("last_sweep_at")
    hold_until: Mapped[datetime]
    """Time before which no lease expires: after an outage workers get one lease to report again."""
