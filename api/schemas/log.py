"""What a job's log holds, as the API shows it."""

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
        description="1, 2, 3, ... without a gap, until most samples of an ended job are removed."
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
    """What an attempt failed by."""

    code: str = Field(description="Stable, for programs: see docs/errors.md.")
    message: str
    hint: str | None = Field(description="What to do.")


class AttemptView(View):
    """One worker's try."""

    attempt: int
    worker: str = Field(description="`/v1/workers/{id}` tells of it, gone or not.")
    host: str
    gpus: list[str] = Field(description="The devices that it was given; empty: none.")
    started_at: datetime
    ended_at: datetime | None
    outcome: Literal["completed", "stopped", "failed", "lost"] | None = Field(
        description="How it ended; null while it runs."
    )
    exit_code: int | None = Field(description="The trainer's; null where it has none.")
    exit_signal: str | None = Field(description="What ended the trainer, as `SIGKILL`, if so.")
    error: AttemptError | None = Field(description="Of one that failed or was lost.")
    log_tail: str | None = Field(description="The last lines of its log, once it has ended.")
    resumed_from_step: int | None = Field(description="Null: from the start.")

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
    """Real-time signals have no names."""
    known = number in set(signal.Signals)
    return signal.Signals(number).name if known else f"signal {number}"


class Attempts(View):
    """Every attempt of a job, the first first."""

    data: list[AttemptView]
    next: None = None


class TokenLogprobs(View):
    """One token as text, with what the engine and the policy said of it [nats]."""

    text: str
    sampler_logprob: float | None
    policy_logprob: float | None = Field(description="Null where nothing was learnt from it.")


class Completion(View):
    """One completion of a sampled prompt."""

    text: str
    reward: float | None
    rewards: dict[str, float | None] = Field(description="By part, before weighting.")
    advantage: float | None
    num_tokens: int
    finish_reason: str | None
    tokens: list[TokenLogprobs] | None = Field(
        default=None, description="Where the spec asks for them: reporting.token_logprobs."
    )


class SampleView(View):
    """A sampled prompt with its group of completions."""

    seq: int
    step: int
    prompt: str
    answer: str
    source: str | None = Field(default=None, description="The data source's name.")
    outcome: Literal["mixed", "tied"]
    completions: list[Completion]

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls.model_validate({"seq": record.seq, "step": record.step, **record.payload})


class Curve(View):
    """One metric: as many steps as values."""

    step: list[int]
    value: list[float | None] = Field(description="Null where it was not finite.")


class Metrics(View):
    """Curves by name, thinned to `max_points` with the lowest and highest kept."""

    metrics: dict[str, Curve]
