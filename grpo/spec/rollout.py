"""Sections of a job spec about completions: sampling, scoring and evaluation."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from grpo.values.field_errors import matching
from grpo.values.section import LARGEST, MAX_NAME, MOST, Section

EngineName = Literal["vllm", "transformers"]
EngineSetting = Literal["auto", EngineName]
StopString = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Rollout(Section):
    """Settings of sampling in training."""

    engine: EngineSetting = Field(
        default="auto", description="Rollout engine; auto: vllm if installed, else transformers."
    )
    temperature: float = Field(
        default=1.0,
        ge=0.01,  # vLLM raises lower values to this, and refuses values above 2
        le=2,
        description="Sampling temperature; the policy's logits are divided by it as well.",
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Must be 1 in training: below 1 the sampler's distribution is not the "
        "policy's.",
    )
    max_tokens: int = Field(default=1024, ge=1, le=MOST, description="Longest completion [tokens].")
    stop: list[StopString] = Field(
        default=[],
        max_length=16,
        description="Texts that end a completion, in training and in evaluations.  Their tokens "
        "are trained on; rewards see only the text before them.",
    )
    gpu_memory_fraction: float = Field(
        default=0.4, gt=0, lt=1, description="Fraction of a GPU's memory for the engine."
    )

    @field_validator("top_p")
    @classmethod
    def _whole_distribution(cls, top_p: float) -> float:
        if top_p < 1:
            raise ValueError(
                "must be 1 in training: below it the sampler's distribution is not the policy's "
                "and the ratio is biased; evaluation.top_p is free"
            )
        return top_p


class Scoring(Section):
    """Limits on rewards, and handling of those that raise, hang or are not finite."""

    seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="Time limit of one reward on one completion; beyond it the score has failed "
        "[s].",
    )
    processes: Annotated[int, Field(ge=1, le=128)] | Literal["auto"] = Field(
        default="auto",
        description="Number of rewards computed in parallel; auto: one per core of the machine "
        "that trains, at most 32.",
    )
    max_failures: float | None = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Fraction of failed scores over the last 20 steps' completions that fails the "
        "job.  A group with a failed score is skipped and counted.  Timeouts do not count.  null: "
        "the job fails only where no completion of a step could be scored.",
    )


class Evaluation(Section):
    """Measurement of held-out accuracy: before, during and after training."""

    every_steps: int = Field(default=10, ge=1, le=MOST, description="Steps between evaluations.")
    samples: int = Field(default=4, ge=1, le=1024, description="Completions per held-out prompt.")
    temperature: float = Field(
        default=0.7, ge=0, le=2, description="Sampling temperature; 0: greedy."
    )
    top_p: float = Field(
        default=0.8, gt=0, le=1, description="Share of the probability mass sampled from."
    )
    top_k: int = Field(
        default=20, ge=0, le=MOST, description="Most probable tokens sampled from; 0: all."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Longest completion [tokens]; null: as in training.",
    )
    limit: int = Field(
        default=512,
        ge=1,
        le=MOST,
        description="Number of held-out prompts used, from the first on; alternating between "
        "sources.",
    )
    metric: str = Field(
        default="eval/accuracy",
        max_length=MAX_NAME,
        pattern=matching(
            r"^eval/[a-z0-9@_/-]+$", "must be a metric of evaluations, such as eval/accuracy"
        ),
        description="Metric for the best checkpoint and early stopping; higher is better.  Default "
        "where no reward judges correctness: eval/reward.",
    )
    target: float | None = Field(
        default=None,
        ge=-LARGEST,
        le=LARGEST,
        description="Value of the metric at which training ends; null: none.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Consecutive evaluations without a new best that end training; null: no limit.",
    )
