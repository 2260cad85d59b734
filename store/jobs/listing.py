"""Pages of a project's jobs: filtered, and in an order that an index supports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    cast,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Session, joinedload

from store.errors import NotFound
from store.ids import encode
from store.states import Status
from store.tables import MODEL_SOURCE, Job

Sort = Literal["-created_at", "created_at", "-name", "name"]
"""Order of the pages: newest or oldest first, or by name, descending or ascending."""


@dataclass(frozen=True)
class Filter:
    """Conditions on a job, all of which must hold."""

    statuses: Sequence[Status] | None = None
    """Accepted statuses."""
    labels: Mapping[str, str] = field(default_factory=dict)
    unlabelled: bool = False
    """Whether the job must have no labels."""
    model: str | None = None
    """The spec's `model.source`."""
    text: str | None = None
    """Part of the name, ignoring case."""


ALL = Filter()


def list_jobs(
    session: Session,
    project_id: UUID,
    wanted: Filter = ALL,
    *,
    sort: Sort = "-created_at",
    after: UUID | None = None,
    limit: int,
) -> list[Job]:
    """Return a page of jobs, each with its API key; `after`: the last job of the previous page.

    Raises:
        NotFound: the page follows a deleted job, in an order that needs its name.
    """
    follows = [] if after is None else [_follows(session, project_id, after, sort)]
    conditions = [Job.project_id == project_id, *_conditions(wanted), *follows]
    page = select(Job.id).where(*conditions).order_by(*_order(sort)).limit(limit)
    if wanted.statuses is not None:
        page = _of_each_status(page, wanted.statuses)
    jobs = select(Job).where(Job.id.in_(page)).options(joinedload(Job.key))
    return list(session.scalars(jobs.order_by(*_order(sort)).limit(limit)))


def _of_each_status(page: Select[UUID], statuses: Sequence[Status]) -> Select[UUID]:
    """Select one page per status: an index orders the jobs of one status, not of several."""
    named = cast(sorted(set(statuses)), ARRAY(Text))
    status = func.unnest(named).table_valued("status").render_derived("wanted")
    one = page.where(Job.status == status.c.status).correlate(status).lateral("one")
    return select(one.c.id).select_from(status.join(one, true()))


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.labels:
        conditions.append(Job.labels.contains(dict(wanted.labels)))
    if wanted.unlabelled:
        conditions.append(Job.labels == {})
    if wanted.model is not None:
        conditions.append(literal(wanted.model) == MODEL_SOURCE)
    if wanted.text is not None:
        conditions.append(Job.name.icontains(wanted.text, autoescape=True))
    return conditions


def _order(sort: Sort) -> list[ColumnElement]:
    columns = [Job.name, Job.id] if sort.endswith("name") else [Job.id]
    return [column.desc() if sort.startswith("-") else column.asc() for column in columns]


def _follows(session: Session, project_id: UUID, job_id: UUID, sort: Sort) -> ColumnElement[bool]:
    """Condition for jobs after this one; in an order by age it may be deleted: an id contains its
    time."""
    place, at = Job.id, job_id
    if sort.endswith("name"):
        named = select(Job.name).where(Job.project_id == project_id, Job.id == job_id)
        name = session.scalar(named)
        if name is None:
            raise NotFound("job", encode("job", job_id))
        place, at = tuple_(Job.name, Job.id), tuple_(name, job_id)
    return place < at if sort.startswith("-") else place > at
