"""A job's log: an ordered sequence of records, some of them superseded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg.errors
from sqlalchemy import ColumnElement, exists, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from store.log.payloads import UnstorableError, clean_text, sanitize
from store.tables import Attempt, Job, Record
from store.webhooks import events

CHANNEL = "duet_log"
"""Channel of NOTIFY; the payload is "<the job's id in hex> <its last seq>"."""

NOTE = "nonfinite"
"""Key in a metric's payload that lists the names of values that were not finite."""

TRAINER_KINDS = frozenset({"resumed", "metric", "eval", "sample", "message", "phase", "end"})
"""Kinds of record that a trainer may write; only the store writes `status` and `checkpoint`."""


@dataclass(frozen=True)
class Entry:
    """One record written by the trainer, the attempt's `n`-th."""

    n: int
    kind: str
    step: int | None
    at: datetime
    payload: dict[str, Any]


Row = dict[str, Any]
"""Columns of a record."""


@dataclass(frozen=True)
class Note:
    """One record written by the store; its time is the transaction's."""

    kind: str
    payload: dict[str, Any]
    step: int | None = None


def append(
    session: Session,
    job_id: UUID,
    attempt: int,
    entries: Sequence[Entry | Note],
    *,
    tell: Callable[[Session, UUID, Sequence[Row]], None] = events.tell,
) -> list[Row]:
    """Append records to the log, and return them as stored.

    Except for a job's first record (`begin`), only this function assigns `seq`.  The update below
    locks the job's row until the transaction ends, so that no number is skipped or assigned twice,
    and numbers appear in the order of commits.

    Args:
        tell: function that queues the webhooks' events.
    """
    if not entries:
        return []
    grown = (
        update(Job)
        .where(Job.id == job_id)
        .values(last_seq=Job.last_seq + len(entries))
        .returning(Job.last_seq, func.now())
        .execution_options(synchronize_session=False)
    )
    last_seq, now = session.execute(grown).one()
    rows = [
        _row(job_id, seq, attempt, entry, now)
        for seq, entry in enumerate(entries, start=last_seq - len(entries) + 1)
    ]
    kept = _insert(session, rows)
    tell(session, job_id, kept)
    session.execute(select(func.pg_notify(CHANNEL, f"{job_id.hex} {last_seq}")))
    return kept


def begin(session: Session, job: Job, note: Note) -> None:
    """Write the first record of a job created in this transaction with `last_seq` 1: no other
    transaction can assign that number, and no client follows the job yet."""
    row = _row(job.id, 1, 0, note, job.created_at)
    session.execute(insert(Record), [row])
    events.tell(session, job.id, [row])


def read(
    session: Session,
    job_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    after: int = 0,
    limit: int,
    superseded: bool = False,
) -> list[Record]:
    """Return records with a seq above `after`, in order: live ones only, or superseded ones too."""
    query = select(Record).where(Record.job_id == job_id, Record.seq > after)
    if kinds is not None:
        query = query.where(Record.kind.in_(kinds))
    if not superseded:
        query = query.where(live())
    return list(session.scalars(query.order_by(Record.seq).limit(limit)))


def newest(
    session: Session, job_id: UUID, *, kinds: Sequence[str], before: int | None, limit: int
) -> list[Record]:
    """Return live records with a seq below `before` (None: any), newest first."""
    query = select(Record).where(Record.job_id == job_id, Record.kind.in_(kinds), live())
    if before is not None:
        query = query.where(Record.seq < before)
    return list(session.scalars(query.order_by(Record.seq.desc()).limit(limit)))


def live() -> ColumnElement[bool]:
    """Return `is_live` as a condition on `Record`."""
    later = (
        exists()
        .where(Attempt.job_id == Record.job_id, Attempt.number > Record.attempt)
        .where(func.coalesce(Attempt.resumed_from_step, -1) < Record.step)
    )
    return ~later


def is_live(attempt: int, step: int | None, starts: Mapping[int, int | None]) -> bool:
    """Whether a record of this attempt and step is live.

    A record is superseded once a later attempt began before its step and so repeats the step.
    A record without a step is always live.

    Args:
        starts: attempt number -> the step that it resumed from; None: a fresh start.
    """
    if step is None:
        return True
    return all(
        from_step is not None and from_step >= step
        for number, from_step in starts.items()
        if number > attempt
    )


def starts(session: Session, job_id: UUID) -> dict[int, int | None]:
    """Map each attempt's number to the step that it resumed from; None: a fresh start."""
    query = select(Attempt.number, Attempt.resumed_from_step).where(Attempt.job_id == job_id)
    return dict(session.execute(query).all())


def metrics_at_end(session: Session, job_id: UUID) -> dict[str, Any]:
    """Return the values of the last live metric record and the last live eval record."""
    values: dict[str, Any] = {}
    for kind in ("metric", "eval"):
        query = select(Record.payload).where(Record.job_id == job_id, Record.kind == kind, live())
        values |= session.scalar(query.order_by(Record.seq.desc()).limit(1)) or {}
    return without_notes(values)


def without_notes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a metric payload's numbers only."""
    return {name: value for name, value in payload.items() if name != NOTE}


def _row(job_id: UUID, seq: int, attempt: int, entry: Entry | Note, now: datetime) -> Row:
    row = {
        "job_id": job_id,
        "seq": seq,
        "attempt": attempt,
        "kind": entry.kind,
        "step": entry.step,
        "at": entry.at if isinstance(entry, Entry) else now,
    }
    if isinstance(entry, Entry) and entry.kind not in TRAINER_KINDS:
        return _as_message(row, "a trainer must not write records of this kind")
    try:
        return row | {"payload": sanitize(entry.payload)}
    except UnstorableError as error:
        return _as_message(row, str(error))


def _insert(session: Session, rows: list[Row]) -> list[Row]:
    """Insert all rows; a row that Postgres rejects becomes a message that reports it."""
    try:
        with session.begin_nested():
            session.execute(insert(Record), rows)
    except DBAPIError as error:
        if not _is_refusal(error):
            raise
        if len(rows) > 1:
            return [kept for row in rows for kept in _insert(session, [row])]
        rows = [_as_message(rows[0], str(error.orig).splitlines()[0])]
        session.execute(insert(Record), rows)
    return rows


def _is_refusal(error: DBAPIError) -> bool:
    """Whether Postgres rejected the values, as opposed to being unavailable."""
    refusals = (
        psycopg.DataError,
        psycopg.errors.ProgramLimitExceeded,
        psycopg.errors.StatementTooComplex,
    )
    return isinstance(error.orig, refusals)


def _as_message(row: Row, reason: str) -> Row:
    kind = clean_text(str(row["kind"]))[:100]
    text = f"a record of kind {kind!r} could not be stored: {clean_text(reason)}"
    return row | {
        "kind": "message",
        "step": None,
        "payload": {"level": "error", "text": text},
    }
