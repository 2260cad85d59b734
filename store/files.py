"""Uploaded data files."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from grpo.data.inspection import Inspection, rows_of_head
from grpo.data.rows import Row
from grpo.data.source_ref import Kind, data_ref
from grpo.spec.data import SETS
from grpo.spec.job import JobSpec
from store.errors import Conflict, NotFound
from store.ids import decode, encode
from store.states import TERMINAL
from store.tables import File, Job

Found = TypeVar("Found")


@dataclass(frozen=True)
class FileFacts:
    """A file's properties that a spec is checked against."""

    num_bytes: int
    num_rows: int | None
    """None: no inspection has succeeded."""
    fields: Mapping[str, str | None]
    problems: Sequence[str]
    head_bytes: int
    """Size of its first rows, as `first_rows` reads them."""


def artifact_key(file_id: UUID) -> str:
    """Return the artifact key of a file's content."""
    return f"files/{encode('file', file_id)}"


def create(
    session: Session,
    *,
    file_id: UUID,
    project_id: UUID,
    key_id: UUID,
    name: str,
    bytes: int,
    sha256: str,
    inspection: Inspection | None,
    expires_seconds: int | None = None,
) -> File:
    """Add a file whose content is in the artifact store already, under `artifact_key`.

    Args:
        inspection: result for a file without problems; None: inspect in the background.
        expires_seconds: lifetime from now; None: until deleted.
    """
    found = inspection or Inspection()
    assert not found.problems, "a file that cannot be used is refused"
    file = File(
        id=file_id,
        project_id=project_id,
        created_by=key_id,
        name=name,
        bytes=bytes,
        sha256=sha256,
        status="ready" if inspection else "processing",
        num_rows=inspection and inspection.num_rows,
        fields=found.fields,
        head=found.head,
        expires_at=None
        if expires_seconds is None
        else func.now() + timedelta(seconds=expires_seconds),
    )
    session.add(file)
    session.flush()
    session.refresh(file)
    return file


def get(session: Session, project_id: UUID, file_id: UUID) -> File:
    """Return one file of a project.

    Raises:
        NotFound: the file does not exist, or is another project's.
    """
    query = select(File).where(File.project_id == project_id, File.id == file_id)
    return _found(session.scalar(query), file_id)


def facts_of(
    session: Session, project_id: UUID, file_ids: Collection[UUID]
) -> dict[UUID, FileFacts]:
    """Return the facts of those files that exist in a project."""
    facts = (File.id, File.bytes, File.num_rows, File.fields, File.problems)
    query = select(*facts, func.octet_length(File.head)).where(
        File.project_id == project_id, File.id.in_(file_ids)
    )
    return {row[0]: FileFacts(*row[1:]) for row in session.execute(query)}


def first_rows(session: Session, project_id: UUID, file_id: UUID) -> list[Row]:
    """Return a file's first rows, without very large ones; empty while the file is processing.

    Raises:
        NotFound: the file does not exist, or is another project's.
    """
    query = select(File.head).where(File.project_id == project_id, File.id == file_id)
    return rows_of_head(_found(session.scalar(query), file_id))


def list_files(
    session: Session,
    project_id: UUID,
    *,
    sha256: str | None = None,
    after: UUID | None = None,
    oldest_first: bool = False,
    limit: int,
) -> list[File]:
    """Return a project's files, newest first by default.

    Args:
        sha256: only files with this content.
        after: only files that follow this one.
    """
    query = select(File).where(File.project_id == project_id)
    if sha256 is not None:
        query = query.where(File.sha256 == sha256)
    if after is not None:
        query = query.where(File.id > after if oldest_first else File.id < after)
    order = File.id.asc() if oldest_first else File.id.desc()
    return list(session.scalars(query.order_by(order).limit(limit)))


def expire(session: Session, *, limit: int) -> list[UUID]:
    """Remove the rows of expired files; the caller deletes their content after the commit.  A file
    stays while a job that has not ended uses it."""
    over = select(File).where(File.expires_at <= func.now()).order_by(File.expires_at).limit(limit)
    gone: list[UUID] = []
    for file in session.scalars(over.with_for_update(skip_locked=True)):
        with suppress(Conflict):
            delete(session, file.project_id, file.id)
            gone.append(file.id)
    return gone


def delete(session: Session, project_id: UUID, file_id: UUID) -> None:
    """Remove a file's row; the caller deletes its content after the commit.

    Raises:
        NotFound: the file does not exist, or is another project's.
        Conflict: a job that has not ended uses it.
    """
    # Waits for a submission that holds the file, and then sees its job below.
    query = select(File).where(File.project_id == project_id, File.id == file_id).with_for_update()
    _found(session.scalar(query), file_id)
    name = encode("file", file_id)
    uses = or_(*(_names(field, name) for field in SETS))
    live = select(Job.id).where(Job.project_id == project_id, Job.status.not_in(TERMINAL), uses)
    job_id = session.scalar(live.limit(1))
    if job_id is not None:
        raise Conflict(
            f"file {name} is used by job {encode('job', job_id)}: "
            "wait until it ends or cancel it, then delete the file"
        )
    session.execute(
        delete_rows(File).where(File.id == file_id).execution_options(synchronize_session=False)
    )


def named_in(spec: JobSpec) -> list[UUID]:
    """Return the ids of the files that a spec names."""
    data = spec.data
    named = (*data.train_sources, *data.eval_sources, *data.test_sources)
    refs = {data_ref(source.source) for source in named}
    return [decode("file", ref.name) for ref in refs if ref.kind is Kind.UPLOAD]


def hold(session: Session, project_id: UUID, file_ids: Sequence[UUID]) -> None:
    """Lock files against deletion until the transaction ends.

    Raises:
        NotFound: a file does not exist, or is another project's.
    """
    if not file_ids:
        return
    query = select(File.id).where(File.project_id == project_id, File.id.in_(file_ids))
    held = set(session.scalars(query.order_by(File.id).with_for_update(read=True, key_share=True)))
    for file_id in file_ids:
        _found(file_id if file_id in held else None, file_id)


def _names(field: str, name: str) -> ColumnElement[bool]:
    """Whether a job's `data.train`, `data.eval` or `data.test` is this file, or a list with it."""
    written = Job.spec["data"][field]
    return or_(written.astext == name, written.contains([{"source": name}]))


def _found(thing: Found | None, file_id: UUID) -> Found:
    if thing is None:
        raise NotFound("file", encode("file", file_id))
    return thing
