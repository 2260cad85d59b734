"""An attempt's span, in the trace of the request that submitted the job."""

import time

from opentelemetry.trace import Span, SpanKind

from store.ids import encode
from store.jobs.claim import Claim
from worker.context import WorkerContext


def begun_span(context: WorkerContext, claim: Claim, *, claimed_at: float) -> Span:
    """Begin an attempt's span at its claim.  `claimed_at`: time.monotonic() before the claim."""
    seconds_ago = time.monotonic() - claimed_at
    span = context.tracing.begin(
        "job.attempt",
        kind=SpanKind.CONSUMER,
        parent=claim.traceparent,
        attributes={
            "duet.job.id": encode("job", claim.job_id),
            "duet.job.attempt": claim.attempt,
            "duet.worker.id": encode("work", context.worker_id),
        },
        seconds_ago=seconds_ago,
    )
    context.tracing.begin_part(span, "job.claim", seconds_ago=seconds_ago).end()
    return span
