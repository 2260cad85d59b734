"""Projects, and their quotas: how many jobs may run and wait, and their share of the workers."""

from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from store.errors import Conflict, NotFound
from store.ids import encode, new_id
from store.tables import Project


@dataclass(frozen=True)
class Quota:
    """None: no limit."""

    max_running: int | None
    max_queued: int | None
    weight: int = 1
    """How many jobs it runs where a project of weight 1 runs one, while both have jobs waiting."""

    @property
    def columns(self) -> dict[str, int | None]:
        return asdict(self)


def get(session: Session, project_id: UUID) -> Project:
    """The project of an id that a row refers to."""
    return session.get_one(Project, project_id)


def create(session: Session, name: str, quota: Quota) -> Project:
    """A new project.

    Raises:
        Conflict: there is one of that name.
    """
    made = insert(Project).values(id=new_id(), name=name, **quota.columns)
    project = session.scalar(made.on_conflict_do_nothing().returning(Project))
    if project is None:
        raise Conflict(f"there is a project {name!r} already: choose another name")
    return project


def list_projects(session: Session, *, after: UUID | None = None, limit: int) -> list[Project]:
    """All of the server's, the newest first; `after`: only projects older than this one."""
    query = select(Project)
    if after is not None:
        query = query.where(Project.id < after)
    return list(session.scalars(query.order_by(Project.id.desc()).limit(limit)))


def change_quota(session: Session, project_id: UUID, quota: Quota) -> Project:
    """As `set_quota`, by the project's id.

    Raises:
        NotFound: there is none.
    """
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound("project", encode("proj", project_id))
    set_quota(session, project.name, quota)
    session.refresh(project)
    return project


def set_quota(session: Session, name: str, quota: Quota) -> None:
    """What is beyond a new quota already runs on, or keeps its place.

    Raises:
        NotFound: there is no project of that name.
    """
    found = update(Project).where(Project.name == name).returning(Project.id)
    values = found.values(**quota.columns)
    if session.scalar(values.execution_options(synchronize_session=False)) is None:
        raise NotFound("project", name)
