"""Workers: who is there, by their own word."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.tables import Worker


def register(
    session: Session,
    *,
    worker_id: UUID,
    host: str,
    boot_id: str,
    pid: int,
    queues: Sequence[str],
    num_gpus: int,
    slots: int,
) -> None:
    """Say that a worker is there; repeating it changes nothing."""
    there = insert(Worker).values(
        id=worker_id,
        host=host,
        boot_id=boot_id,
        pid=pid,
        queues=list(queues),
        num_gpus=num_gpus,
        slots=slots,
    )
    session.execute(there.on_conflict_do_nothing())


def beat(session: Session, worker_id: UUID) -> None:
    """Say that it still is; one that was thought gone is back."""
    _set(session, worker_id, last_seen_at=func.now(), gone_at=None)


def leave(session: Session, worker_id: UUID) -> None:
    """Say that it ends."""
    _set(session, worker_id, gone_at=func.now())


def list_workers(session: Session) -> list[Worker]:
    """The workers that are there, the newest first."""
    query = select(Worker).where(Worker.gone_at.is_(None)).order_by(Worker.id.desc())
    return list(session.scalars(query))


def _set(session: Session, worker_id: UUID, **values: object) -> None:
    changed = update(Worker).where(Worker.id == worker_id).values(**values)
    session.execute(changed.execution_options(synchronize_session=False))
