"""Uploaded files to inspect in the background, each by one process at a time."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session, aliased

from grpo.data.inspection import Inspection
from store.tables import File

MAX_INSPECTIONS = 3
"""Limit of failed inspections, after which a file is given up."""


@dataclass(frozen=True)
class ToInspect:
    """A file claimed for inspection by this process; `number` is the fence of its result."""

    file_id: UUID
    number: int


def claim_next(session: Session, *, lost_after_seconds: float) -> ToInspect | None:
    """Claim the oldest file in processing; None: none left, or all are claimed.

    One file per project is inspected at a time, so that a project's many or large files do not
    delay other projects'.
    """
    lost_before = func.now() - timedelta(seconds=lost_after_seconds)
    busy = aliased(File)
    of_its_project = exists().where(
        busy.project_id == File.project_id,
        busy.status == "processing",
        busy.inspection_began_at >= lost_before,
    )
    query = select(File.id).where(File.status == "processing", ~of_its_project)
    file_id = session.scalar(
        query.order_by(File.id).limit(1).with_for_update(skip_locked=True, of=File)
    )
    if file_id is None:
        return None
    begun = (
        update(File)
        .where(File.id == file_id)
        .values(
            inspection_began_at=func.now(),
            num_inspections=File.num_inspections + 1,
            num_rows_checked=0,
        )
        .returning(File.num_inspections)
    )
    return ToInspect(file_id, session.execute(begun).scalar_one())


def note_progress(session: Session, claim: ToInspect, num_rows: int) -> None:
    """Store the number of rows that a running inspection has read."""
    _move(session, claim, num_rows_checked=num_rows)


def settle(session: Session, claim: ToInspect, found: Inspection) -> bool:
    """Store an inspection's result; False: the file was deleted, or claimed by another process."""
    values = {
        "status": "failed" if found.problems else "ready",
        "problems": list(found.problems),
        "num_rows": None if found.problems else found.num_rows,
        "fields": found.fields,
        "head": found.head,
        "inspection_began_at": None,
        "num_rows_checked": None,
    }
    return _move(session, claim, **values)


def give_back(session: Session, claim: ToInspect) -> bool:
    """Release a file for another process."""
    return _move(
        session,
        claim,
        inspection_began_at=None,
        num_inspections=claim.number - 1,
        num_rows_checked=None,
    )


def postpone(
    session: Session, claim: ToInspect, *, seconds: float, lost_after_seconds: float
) -> bool:
    """Release a file for another process some time later; the inspection counts as one of its
    `MAX_INSPECTIONS`."""
    lost_in = timedelta(seconds=lost_after_seconds - seconds)
    return _move(session, claim, inspection_began_at=func.now() - lost_in, num_rows_checked=None)


def _move(session: Session, claim: ToInspect, **values: object) -> bool:
    moved = (
        update(File)
        .where(
            File.id == claim.file_id,
            File.status == "processing",
            File.num_inspections == claim.number,
        )
        .values(**values)
        .returning(File.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(moved) is not None
