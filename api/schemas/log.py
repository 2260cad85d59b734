"""A job's log, as the API shows it."""

import signal
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from api.schemas.base import View
from store import ids
from store.tables import Attempt, Record

Kind = Literal[
    "status", "resumed", "phase", "metric", "eval", "sample", "checkpoint", "message", "end"
]


class RecordView(View):
    """One entry of a job's log."""

    seq: int = Field(
        description="1, 2, 3, ... without gaps, until most samples of an ended job are removed."
    )
    kind: Kind
    step: int | None
    attempt: int
    at: datetime
    payload: dict[str, Any]

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(
            seq=record.seq,
            kind=record.kind,  # pyright: ignore[reportArgumentType]
            step=record.step,
            attempt=record.attempt,
            at=record.at,
            payload=record.payload,
        )


class AttemptError(View):
    """Reason for an attempt's failure."""

    code: str = Field(description="Stable code for programs: see docs/errors.md.")
    message: str
    hint: str | None = Field(description="Suggested action.")


class AttemptView(View):
    """One attempt at a job, by one worker."""

    attempt: int
    worker: str = Field(
        description="Worker id; see GET /v1/workers/{id}, also after the worker has left."
    )
    host: str
    gpus: list[str] = Field(description="GPUs assigned to the attempt; empty: none.")
    started_at: datetime
    ended_at: datetime | None
    outcome: Literal["completed", "stopped", "failed", "lost"] | None = Field(
        description="Null while the attempt runs."
    )
    exit_code: int | None = Field(description="The trainer's exit code; null where it has none.")
    exit_signal: str | None = Field(description="Signal that ended the trainer, such as `SIGKILL`.")
    error: AttemptError | None = Field(description="Error of a failed or lost attempt.")
    log_tail: str | None = Field(description="The last lines of its log, once it has ended.")
    resumed_from_step: int | None = Field(
        description="Checkpoint step that it resumed from; null: from the start."
    )

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        error, number = attempt.error, attempt.exit_signal
        return cls(
            attempt=attempt.number,
            worker=ids.encode("work", attempt.worker_id),
            host=attempt.host,
            gpus=attempt.gpus.split(",") if attempt.gpus else [],
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            outcome=attempt.outcome,  # pyright: ignore[reportArgumentType]
            exit_code=attempt.exit_code,
            exit_signal=None if number is None else _signal_name(number),
            error=AttemptError.model_validate(error) if error else None,
            log_tail=attempt.log_tail,
            resumed_from_step=attempt.resumed_from_step,
        )


def _signal_name(number: int) -> str:
    """Name of a signal; real-time signals have none."""
    known = number in set(signal.Signals)
    return signal.Signals(number).name if known else f"signal {number}"


class Attempts(View):
    """Every attempt of a job, oldest first."""

    data: list[AttemptView]
    next: None = None


class TokenLogprobs(View):
    """One token as text, with its log-probabilities by the engine and by the policy [nats]."""

    text: str
    sampler_logprob: float | None
    policy_logprob: float | None = Field(description="Null where the token was not trained on.")


class Completion(View):
    """One completion of a sampled prompt."""

    text: str
    reward: float | None
    rewards: dict[str, float | None] = Field(description="Rewards by part, before weighting.")
    advantage: float | None
    num_tokens: int
    finish_reason: str | None
    tokens: list[TokenLogprobs] | None = Field(
        default=None, description="Present if the spec sets reporting.token_logprobs."
    )


class SampleView(View):
    """A sampled prompt with its group of completions."""

    seq: int
    step: int
    prompt: str
    answer: str
    source: str | None = Field(default=None, description="Name of the data source.")
    outcome: Literal["mixed", "tied"]
    completions: list[Completion]

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls.model_validate({"seq": record.seq, "step": record.step, **record.payload})


class Curve(View):
    """One metric: as many steps as values."""

    step: list[int]
    value: list[float | None] = Field(description="Null where not finite.")


class Metrics(View):
    """Curves by name, thinned to `max_points`, keeping the minima and maxima."""

    metrics: dict[str, Curve]
