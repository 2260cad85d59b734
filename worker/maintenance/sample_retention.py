"""Removal of most samples from the logs of jobs that ended long ago."""

import structlog

from store.ids import encode
from store.log import sample_retention
from worker.context import WorkerContext

log = structlog.get_logger()

CALLS = 10  # transactions at a time, so that the maintenance loop is not delayed


def thin_samples(context: WorkerContext) -> int:
    """Remove some of the samples that `store.log.sample_retention` selects; return their number."""
    settings, num_removed = context.settings, 0
    for _ in range(CALLS):
        with context.database.session() as session:
            thinned = sample_retention.thin_next(
                session,
                keep_days=settings.samples_keep_days,
                keep_steps=settings.samples_keep_steps,
            )
        if thinned is None:
            break
        num_removed += thinned.removed
        if thinned.done:
            log.info("samples_thinned", job_id=encode("job", thinned.job_id))
    return num_removed
