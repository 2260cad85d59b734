"""Use of the projects' caches of the Hugging Face hub on the workers' disks."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from store.access.project_secrets import HUB_TOKEN
from store.states import Status
from store.tables import Job, Project, ProjectSecret


@dataclass(frozen=True)
class Use:
    """Use of one project's caches."""

    has_token: bool
    """Whether trainers that start now use them."""
    has_running_job: bool
    """Whether a job of the project runs on any machine: several machines can share a disk."""


def use_of(session: Session, project_ids: Sequence[UUID]) -> dict[UUID, Use]:
    """Return the use of each project's caches; a project of another database is left out."""
    secret = exists().where(ProjectSecret.project_id == Project.id, ProjectSecret.name == HUB_TOKEN)
    running = exists().where(Job.project_id == Project.id, Job.status == Status.RUNNING)
    query = select(Project.id, secret, running).where(Project.id.in_(project_ids))
    return {project_id: Use(*found) for project_id, *found in session.execute(query)}
