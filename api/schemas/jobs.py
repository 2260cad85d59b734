"""A job, as the API shows it."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from api.schemas.base import View
from api.schemas.paging import NO_NUL
from grpo.validation.results import ResolvedSpec
from grpo.values.field_errors import matching
from store import ids
from store.jobs.attempts import RunTime
from store.jobs.jobs import StatusChange
from store.jobs.queue_position import PLACES, Waiting
from store.states import Status, Wanted
from store.tables import Job
from store.telemetry.tracing import trace_id


class Progress(View):
    """A job's progress."""

    step: int = Field(description="The last live step.")
    total_steps: int | None = Field(description="Null until known.")
    fraction: float | None = Field(description="From 0 to 1.")
    seconds_left: float | None = Field(
        description="Remaining training time at the pace of the last step; null when not running."
    )

    @classmethod
    def of(cls, job: Job) -> Self:
        step, total = job.step, job.total_steps
        fraction = seconds_left = None
        if total:
            fraction = min(step / total, 1.0)
            pace = job.latest_metrics.get("step_time")
            if job.status == "running" and pace is not None:
                seconds_left = max(total - step, 0) * pace
        return cls(step=step, total_steps=total, fraction=fraction, seconds_left=seconds_left)


class JobError(View):
    """Reason for a job's failure."""

    code: str = Field(description="Stable code for programs.")
    message: str
    hint: str | None = Field(default=None, description="Suggested action.")
    log_tail: str | None = Field(default=None, description="The last lines of the attempt's log.")


class Queue(View):
    """Reason why a job is still queued."""

    position: int | None = Field(
        description="From 1, among the jobs of its queue that could run now; null: behind the "
        f"first {PLACES}."
    )
    waiting_for: str = Field(description="What the job is waiting for.")
    since: datetime = Field(description="When the job became eligible to run.")

    @classmethod
    def of(cls, waiting: Waiting) -> Self:
        return cls(position=waiting.position, waiting_for=waiting.waiting_for, since=waiting.since)


class Moment(View):
    """One change of status."""

    status: Status
    at: datetime
    reason: str

    @classmethod
    def of(cls, change: StatusChange) -> Self:
        return cls(status=change.status, at=change.at, reason=change.reason)


class JobView(View):
    """A training job."""

    id: str
    name: str
    status: Status
    wanted: Wanted = Field(description="The spec as submitted.")
    status_reason: str
    spec: ResolvedSpec = Field(
        description="The resolved spec: defaults < preset < submitted fields."
    )
    attempt: int = Field(description="Number of the current or last attempt; 0: none yet.")
    attempts: int = Field(description="Number of attempts so far.")
    failures: int = Field(description="Attempts lost or crashed since the last checkpoint.")
    phase: str | None = Field(description="Current phase of a running job.")
    progress: Progress
    latest_metrics: dict[str, float | None]
    last_seq: int = Field(
        description="Seq of its log's last record; its stream continues after it."
    )
    error: JobError | None
    queue: Queue | None = Field(description="Null unless queued.")
    owner: str = Field(description="Name of the key that submitted the job.")
    timeline: list[Moment]
    labels: dict[str, str]
    retry_of: str | None = Field(description="The ended job that this one continues.")
    start_checkpoint: str | None = Field(
        description="Checkpoint of another job that the first attempt starts from."
    )
    trace_id: str | None = Field(
        description="Trace of the request that submitted the job (`traceparent`); appears in "
        "the logs of the API and the worker, and in the trainer's environment."
    )
    ran_seconds: float = Field(
        description="Total run time of ended attempts, without time in the queue and pauses "
        "before retries."
    )
    running_since: datetime | None = Field(
        description="Start of the running attempt; its time is added to `ran_seconds`."
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    thinned_at: datetime | None = Field(
        description="When most samples were removed from its log, long after its end; null: never."
    )

    @classmethod
    def of(
        cls,
        job: Job,
        *,
        owner: str,
        queue: Queue | None,
        timeline: list[Moment],
        run_time: RunTime,
    ) -> Self:
        start = job.start_checkpoint_id
        return cls(
            id=ids.encode("job", job.id),
            name=job.name,
            status=job.status,
            wanted=job.wanted,
            status_reason=job.status_reason,
            spec=job.spec,
            attempt=job.attempt,
            attempts=job.attempt,
            failures=job.failures,
            phase=job.phase if job.status == "running" else None,
            progress=Progress.of(job),
            latest_metrics=job.latest_metrics,
            last_seq=job.last_seq,
            error=JobError.model_validate(job.error) if job.error else None,
            queue=queue,
            owner=owner,
            timeline=timeline,
            labels=job.labels,
            retry_of=ids.encode("job", job.retry_of) if job.retry_of else None,
            start_checkpoint=ids.encode("ckpt", start) if start else None,
            trace_id=job.traceparent and trace_id(job.traceparent),
            ran_seconds=run_time.ended_seconds,
            running_since=run_time.running_since,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            thinned_at=job.thinned_at,
        )


Label = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
LabelValue = Annotated[str, Field(max_length=512, pattern=NO_NUL)]


@with_config(extra="forbid")
class JobChange(TypedDict, total=False):
    """Changes to a job; omitted fields keep their values."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
    labels: Annotated[
        dict[Label, LabelValue],
        Field(max_length=50, description="Replaces all labels."),
    ]
    priority: Annotated[
        int, Field(ge=-100, le=100, description="Only while the job is queued or paused.")
    ]


class Fork(BaseModel):
    """A new job from a job's checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(
        pattern=matching(r"^ckpt_[0-9a-f]{32}$", "must be a checkpoint's id, ckpt_..."),
        description="A checkpoint of the job, whose weights the new job starts with, at step 0.",
    )
    overrides: dict[str, Any] = Field(
        default={}, description="Spec fields (JobSpec) that differ from the job's."
    )
