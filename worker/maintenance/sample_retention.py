"""Most samples of old logs go: those of jobs that ended long ago."""

import structlog

from store.ids import encode
from store.log import sample_retention
from worker.context import Post

log = structlog.get_logger()

CALLS = 10  # transactions at a time, so that the reaper is not kept waiting


def thin_samples(post: Post) -> int:
    """Remove some of what `store.log.sample_retention` says may go: how many samples."""
    settings, num_removed = post.settings, 0
    for _ in range(CALLS):
        with post.database.session() as session:
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
