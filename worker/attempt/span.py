"""An attempt's span, in the trace of the request that submitted the job."""

import time

from store.ids import encode
from store.jobs.claim import Claim
from store.telemetry.spans import Span
from worker.context import WorkerContext


def begun_span(context: WorkerContext, claim: Claim, *, claimed_at: float) -> Span:
    """Begin an attempt's span at its claim.  `claimed_at`: time.monotonic() before the claim."""
    seconds_ago = time.monotonic() - claimed_at
    span = context.spans.begin(
        "job.attempt",
        parent=claim.trace,
        kind="consumer",
        attributes={
            "duet.job.id": encode("job", claim.job_id),
            "duet.job.attempt": claim.attempt,
            "duet.worker.id": encode("work", context.worker_id),
        },
        seconds_ago=seconds_ago,
    )
    span.begin("job.claim", seconds_ago=seconds_ago).end()
    return span
