"""Observed throughput of similar jobs."""

from statistics import median
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from grpo.validation.cost import Pace
from store.tables import Job

NEWEST_JOBS = 1000
"""Limit of a project's jobs that are read."""
OF_A_KIND = 20


def measured(session: Session, project_id: UUID, *, model: str, group_size: int) -> Pace | None:
    """Return the pace of a project's newest jobs with this model and group size; None: no such job
    has completed a step."""
    newest = (
        select(Job)
        .where(Job.project_id == project_id)
        .order_by(Job.id.desc())
        .limit(NEWEST_JOBS)
        .subquery()
    )
    job = aliased(Job, newest)
    of_a_kind = (
        select(job.spec["algorithm"]["prompts_per_step"].as_integer(), job.latest_metrics)
        .where(job.spec["model"]["source"].astext == model)
        .where(job.spec["algorithm"]["group_size"].as_integer() == group_size)
        .where(job.latest_metrics["num_rollouts"].as_integer() > 0)
        .order_by(job.id.desc())
        .limit(OF_A_KIND)
    )
    seconds, tokens = [], []
    for prompts, metrics in session.execute(of_a_kind):
        seconds.append(metrics["step_time"] / (prompts * group_size))
        tokens.append(metrics["num_tokens"] / metrics["num_rollouts"])
    return Pace(median(seconds), median(tokens), len(seconds)) if seconds else None
