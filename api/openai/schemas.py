"""Files, jobs, events and checkpoints in OpenAI's types; times are unix seconds."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Self

from pydantic import Field

from api.openai.graders import to_method
from api.schemas.base import Item, View
from api.schemas.files import FileView
from api.schemas.jobs import JobView
from store import ids
from store.states import Status
from store.tables import Checkpoint, Record


class Listed(View, Generic[Item]):
    """A page of a list; `after` is the id of its last item."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool


FileStatus = Literal["uploaded", "processed", "error"]
FILE_STATUS: Mapping[str, FileStatus] = {
    "processing": "uploaded",
    "ready": "processed",
    "failed": "error",
}


class FileObject(View):
    """An uploaded data file."""

    object: Literal["file"] = "file"
    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: Literal["fine-tune"] = "fine-tune"
    status: FileStatus
    status_details: str | None = Field(description="Why a file cannot be used.")
    expires_at: int | None = Field(
        default=None, description="When the file is deleted; null: never."
    )

    @classmethod
    def of(cls, file: FileView) -> Self:
        return cls(
            id=file.id,
            bytes=file.bytes,
            created_at=int(file.created_at.timestamp()),
            filename=file.name,
            status=FILE_STATUS[file.status],
            status_details="; ".join(file.problems) or None,
            expires_at=None if file.expires_at is None else int(file.expires_at.timestamp()),
        )


class FileDeleted(View):
    """A deleted file."""

    object: Literal["file"] = "file"
    id: str
    deleted: Literal[True] = True


class JobFailure(View):
    """Reason for a job's failure."""

    code: str
    message: str
    param: None = None


class FineTuningJob(View):
    """A training job; `/v1/jobs/{id}` has its full details."""

    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    id: str
    created_at: int
    finished_at: int | None
    estimated_finish: int | None
    status: Status
    model: str
    fine_tuned_model: str | None = Field(
        description="Id of the final checkpoint, once succeeded; usable as the model of "
        "another job."
    )
    training_file: str
    validation_file: str | None
    method: dict[str, Any]
    hyperparameters: dict[str, Any]
    organization_id: str
    result_files: list[str] = Field(
        default=[], description="Always empty: metrics are in the events."
    )
    seed: int
    trained_tokens: int | None
    metadata: dict[str, str] | None
    error: JobFailure | None

    @classmethod
    def of(cls, job: JobView, *, project: str, model: str | None, now: float) -> Self:
        """`model`: the final checkpoint, once succeeded; `now` [unix seconds]."""
        spec, left, finished = job.spec, job.progress.seconds_left, job.finished_at
        tokens = job.latest_metrics.get("num_tokens")
        hyperparameters = _hyperparameters(spec)
        reinforcement = {**to_method(spec["rewards"]), "hyperparameters": hyperparameters}
        return cls(
            id=job.id,
            created_at=int(job.created_at.timestamp()),
            finished_at=None if finished is None else int(finished.timestamp()),
            estimated_finish=None if left is None else int(now + left),
            status=job.status,
            model=spec["model"]["source"],
            fine_tuned_model=model,
            training_file=_source(spec["data"]["train"]) or "",
            validation_file=_source(spec["data"]["eval"]),
            method={"type": "reinforcement", "reinforcement": reinforcement},
            hyperparameters=hyperparameters,
            organization_id=project,
            seed=spec["seed"],
            trained_tokens=None if tokens is None else int(tokens),
            metadata=job.labels or None,
            error=job.error and JobFailure(code=job.error.code, message=job.error.message),
        )


def _source(written: str | list[dict[str, Any]] | None) -> str | None:
    """Return the first training source: OpenAI's job has one file."""
    return written[0]["source"] if isinstance(written, list) else written


def _hyperparameters(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "n_epochs": spec["budget"]["epochs"],
        "batch_size": spec["algorithm"]["prompts_per_step"],
        "eval_interval": spec["evaluation"]["every_steps"],
        "eval_samples": spec["evaluation"]["samples"],
    }


class Event(View):
    """One record of a job's log."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    id: str
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any] | None

    @classmethod
    def of(cls, record: Record) -> Self:
        metrics = record.kind in ("metric", "eval")
        return cls(
            id=f"{EVENT}{record.seq}",
            created_at=int(record.at.timestamp()),
            level=_level(record),
            message=_MESSAGES[record.kind](record.step, record.payload),
            type="metrics" if metrics else "message",
            data={"step": record.step, **record.payload} if metrics else None,
        )


EVENT = "ftevent-"
"""Prefix of an event's id, before its number in the job's log."""


def _level(record: Record) -> Literal["info", "warn", "error"]:
    if record.payload.get("status") == "failed":
        return "error"
    level = record.payload.get("level")
    return "warn" if level == "warning" else "error" if level == "error" else "info"


_MESSAGES: Mapping[str, Callable[[int | None, Mapping[str, Any]], str]] = {
    "status": lambda _, payload: f"The job is {payload['status']}: {payload['reason']}",
    "resumed": lambda _, payload: f"The run continues from step {payload['from_step']}",
    "metric": lambda step, payload: f"Step {step}: reward {_number(payload.get('reward'))}",
    "eval": lambda step, payload: f"Evaluated at step {step}: {_accuracy(payload)}",
    "checkpoint": lambda step, payload: f"Checkpoint {payload['id']} saved at step {step}",
    "message": lambda _, payload: str(payload["text"]),
}
EVENT_KINDS = tuple(_MESSAGES)


def _accuracy(payload: Mapping[str, Any]) -> str:
    if "eval/accuracy" not in payload:  # no reward measures correctness
        return f"reward {_number(payload.get('eval/reward'))}"
    return f"accuracy {_number(payload.get('eval/accuracy'))}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


class JobCheckpoint(View):
    """A checkpoint; its files are at `/v1/checkpoints/{id}`."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    id: str
    created_at: int
    fine_tuned_model_checkpoint: str = Field(
        description="Id of the checkpoint; usable as the model of another job."
    )
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, float]

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, metric: str) -> Self:
        """Return the checkpoint; `metric`: the one that rates the job's checkpoints."""
        name = ids.encode("ckpt", checkpoint.id)
        rated = {} if checkpoint.metric is None else {metric: checkpoint.metric}
        return cls(
            id=name,
            created_at=int(checkpoint.created_at.timestamp()),
            fine_tuned_model_checkpoint=name,
            fine_tuning_job_id=ids.encode("job", checkpoint.job_id),
            step_number=checkpoint.step,
            metrics={"step": checkpoint.step, **rated},
        )
