"""Projects and their quotas: limits of running and queued jobs, and the share of workers."""

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
    """Limits of a project's jobs; None: no limit."""

    max_running: int | None
    max_queued: int | None
    weight: int = 1
    """Running jobs per running job of a project of weight 1, while both have queued jobs."""

    @property
    def columns(self) -> dict[str, int | None]:
        return asdict(self)


def get(session: Session, project_id: UUID) -> Project:
    """Return the project that a row refers to."""
    return session.get_one(Project, project_id)


def create(session: Session, name: str, quota: Quota) -> Project:
    """Create a project.

    Raises:
        Conflict: the name is taken.
    """
    made = insert(Project).values(id=new_id(), name=name, **quota.columns)
    project = session.scalar(made.on_conflict_do_nothing().returning(Project))
    if project is None:
        raise Conflict(f"a project named {name!r} already exists: choose another name")
    return project


def list_projects(session: Session, *, after: UUID | None = None, limit: int) -> list[Project]:
    """Return all projects, newest first; `after`: only projects older than this one."""
    query = select(Project)
    if after is not None:
        query = query.where(Project.id < after)
    return list(session.scalars(query.order_by(Project.id.desc()).limit(limit)))


def change_quota(session: Session, project_id: UUID, quota: Quota) -> Project:
    """Set a quota by the project's id, as `set_quota`.

    Raises:
        NotFound: the project does not exist.
    """
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound("project", encode("proj", project_id))
    set_quota(session, project.name, quota)
    session.refresh(project)
    return project


def set_quota(session: Session, name: str, quota: Quota) -> None:
    """Set a quota; jobs already beyond it continue to run, or stay queued.

    Raises:
        NotFound: no project has that name.
    """
    found = update(Project).where(Project.name == name).returning(Project.id)
    values = found.values(**quota.columns)
    if session.scalar(values.execution_options(synchronize_session=False)) is None:
        raise NotFound("project", name)
