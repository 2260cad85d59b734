"""Observed throughput of similar jobs."""

from collections import defaultdict
from collections.abc import Collection
from statistics import median
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from grpo.validation.cost import Pace
from store.tables import Job

NEWEST_JOBS = 1000
"""Limit of a project's jobs that are read."""
OF_A_KIND = 20


def measured(
    session: Session, project_id: UUID, *, model: str, group_sizes: Collection[int]
) -> dict[int, Pace]:
    """Return the pace of a project's newest jobs with this model, by group size; sizes without a
    completed step are absent."""
    newest = (
        select(Job)
        .where(Job.project_id == project_id)
        .order_by(Job.id.desc())
        .limit(NEWEST_JOBS)
        .subquery()
    )
    job = aliased(Job, newest)
    size = job.spec["algorithm"]["group_size"].as_integer()
    metrics = job.latest_metrics
    of_model = (
        select(
            size,
            job.spec["algorithm"]["prompts_per_step"].as_integer(),
            metrics["step_time"].as_float(),
            metrics["num_tokens"].as_float(),
            metrics["num_rollouts"].as_float(),
        )
        .where(job.spec["model"]["source"].astext == model)
        .where(size.in_(group_sizes))
        .where(metrics["num_rollouts"].as_integer() > 0)
        .order_by(job.id.desc())
    )
    seconds, tokens = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
    for group_size, prompts, step_time, num_tokens, num_rollouts in session.execute(of_model):
        if len(seconds[group_size]) < OF_A_KIND:
            seconds[group_size].append(step_time / (prompts * group_size))
            tokens[group_size].append(num_tokens / num_rollouts)
    return {
        group_size: Pace(median(seconds[group_size]), median(tokens[group_size]), len(found))
        for group_size, found in seconds.items()
    }
