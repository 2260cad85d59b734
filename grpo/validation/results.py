"""Results of checking and estimating a spec, as the API and the command line show them."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from grpo.estimate.memory import Device, MemoryEstimate
from grpo.rewards.preflight import KindResult, Report
from grpo.spec.rollout import EngineName

SHOWN_CHARACTERS = 500
SHOWN_ERRORS = 3

ResolvedSpec = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "description": "See the schema JobSpec."})
]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Memory(_Result):
    """A run's memory by purpose [bytes], each at its peak."""

    device: Device = Field(description="cpu: in the trainer's process; cuda: on the GPU.")
    assumed_engine: EngineName = Field(
        description="Rollout engine that the numbers are for; vllm where rollout.engine is auto."
    )
    total: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    reference: int
    engine: int
    rollout: int
    runtime: int = Field(description="Libraries and allocator overhead.")

    @classmethod
    def of(cls, estimate: MemoryEstimate, device: Device, engine: EngineName) -> Self:
        parts = ("weights", "gradients", "optimizer", "activations", "logits", "reference")
        return cls(
            device=device,
            assumed_engine=engine,
            total=estimate.total,
            engine=estimate.engine,
            rollout=estimate.rollout,
            runtime=estimate.runtime + estimate.slack,
            **{name: getattr(estimate, name) for name in parts},
        )


class GroupSizeEstimate(_Result):
    """The spec's cost at one group size."""

    group_size: int
    steps: int | None = Field(
        description="Null, like all counts, while the dataset size is unknown."
    )
    updates: int | None = Field(description="Optimizer steps.")
    rollouts: int | None = Field(description="Excluding redraws for ties.")
    longest_tokens: int | None = Field(description="Upper bound: every text at its maximum length.")
    tokens: int | None = Field(
        description="At lengths measured on this server; null without measurements."
    )
    seconds: float | None = Field(
        description="At speeds measured on this server; null without measurements."
    )
    measured_on: int = Field(
        description="Number of past jobs of this model and group size that the time is based on."
    )
    memory: Memory | None = Field(description="Null: see `memory_unknown`.")
    memory_unknown: str | None = Field(description="Why the memory is unknown.")


class Estimates(_Result):
    """Estimates of a spec: at its own group size first, then at the others."""

    spec: ResolvedSpec
    num_prompts: int | None = Field(description="Rows of the training data; null: unknown.")
    estimates: list[GroupSizeEstimate]


class KindTried(_Result):
    """A reward's scores of one kind of completion."""

    completion: str = Field(description=f"The first row's, up to {SHOWN_CHARACTERS} characters.")
    scores: list[float | None] = Field(
        description="One score per row; null: it failed, or the row has no such completion."
    )
    seconds: float | None = Field(description="The slowest score; null: none was started.")
    errors: list[str] = Field(description=f"Why scores failed, at most {SHOWN_ERRORS} reasons.")

    @classmethod
    def of(cls, result: KindResult) -> Self:
        trials = [trial for trial in result.trials if trial is not None]
        seconds = [trial.seconds for trial in trials if trial.seconds is not None]
        errors = dict.fromkeys(trial.error for trial in trials if trial.error is not None)
        return cls(
            completion=result.text[:SHOWN_CHARACTERS],
            scores=result.scores,
            seconds=max(seconds, default=None),
            errors=list(errors)[:SHOWN_ERRORS],
        )


class RewardPreflight(_Result):
    """A reward tested on completions of known quality."""

    reward: str = Field(description="The reward's name; by default its type.")
    right_by: str | None = Field(
        description="The reward that defines a right completion: this one, or for Python code "
        "another of the spec. Null: unknown, so none is tested."
    )
    right: KindTried | None = Field(
        default=None,
        description="Completions with the row's answer in the form that `right_by` expects.",
    )
    wrong: KindTried | None = Field(
        default=None, description="Completions with another row's answer in that form."
    )
    empty: KindTried
    huge: KindTried = Field(description="Wrong completions as long as rollout.max_tokens allows.")
    warnings: list[str] = Field(description="Empty if no problem was found.")

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(
            reward=report.reward.part,
            right_by=report.guide and report.guide.part,
            **{kind: KindTried.of(result) for kind, result in report.kinds.items()},
            warnings=report.warnings,
        )


class Preflight(_Result):
    """The spec's rewards tested on sample rows of its training data."""

    num_rows: int
    seconds: float
    rewards: list[RewardPreflight]
    not_tried: str | None = Field(description="Why the rewards were not tested, if so.")
    left_out: list[str] = Field(
        default=[],
        description="Rewards that call a service, which a validation does not: try them by "
        "`POST /v1/rewards/try`.",
    )


class Estimate(_Result):
    """The result of `validate_only` for a spec."""

    spec: ResolvedSpec = Field(
        description="The resolved spec: defaults < preset < submitted fields."
    )
    num_prompts: int | None = Field(description="Rows of the training data; null: unknown.")
    total_steps: int | None = Field(description="Null: unknown.")
    preflight: Preflight | None = Field(
        default=None, description="Its rewards tested on rows of its data; null for a sweep's jobs."
    )
