"""The parts of a job spec about completions: sampled in training, scored, and evaluated."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from grpo.values.section import LARGEST, MAX_NAME, MOST, Section

StopString = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Rollout(Section):
    """How training completions are sampled."""

    engine: Literal["auto", "vllm", "transformers"] = Field(
        default="auto", description="auto is vllm where it is installed, else transformers."
    )
    temperature: float = Field(
        default=1.0,
        ge=0.01,  # vLLM raises what is lower to this, and refuses what is above 2
        le=2,
        description="The policy's logits are divided by it as well.",
    )
    top_p: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Must be 1 in training: below it the sampler is not the policy.",
    )
    max_tokens: int = Field(default=1024, ge=1, le=MOST, description="Longest completion [tokens].")
    stop: list[StopString] = Field(
        default=[],
        max_length=16,
        description="Texts that end a completion, in training and in evaluations.  The tokens that "
        "complete one are learnt from; rewards see the text before it.",
    )
    gpu_memory_fraction: float = Field(
        default=0.4, gt=0, lt=1, description="Share of a GPU's memory that the engine takes."
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
    """Limits of a reward's cost, and the handling of rewards that raise, hang or are not finite."""

    seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="One reward of one completion at most; what takes longer has failed [s].",
    )
    processes: int = Field(
        default=2, ge=1, le=128, description="Rewards that are computed beside each other."
    )
    max_failures: float | None = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of failed scores, of the last 20 steps' completions, that ends the job. "
        "A group with one is skipped and counted.  Scores that only took too long do not count.  "
        "None: the job never fails for it, but where a whole step could not be scored.",
    )


class Evaluation(Section):
    """How held-out accuracy is measured: before, during and after training."""

    every_steps: int = Field(default=10, ge=1, le=MOST, description="Steps between evaluations.")
    samples: int = Field(default=4, ge=1, le=1024, description="Completions a held-out prompt.")
    temperature: float = Field(default=0.7, ge=0, le=2, description="0: greedy.")
    top_p: float = Field(
        default=0.8, gt=0, le=1, description="Share of the probability mass sampled from."
    )
    top_k: int = Field(default=20, ge=0, le=MOST, description="Tokens sampled from; 0: no limit.")
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Longest completion [tokens]; none: as in training.",
    )
    limit: int = Field(
        default=512,
        ge=1,
        le=MOST,
        description="Held-out prompts used, from the first on; of several sources in turn.",
    )
    metric: str = Field(
        default="eval/accuracy",
        max_length=MAX_NAME,
        pattern=r"^eval/[a-z0-9@_/-]+$",
        description="The metric that names the best checkpoint and ends training early; higher is "
        "better.  Unless given: eval/reward where no reward judges correctness.",
    )
    target: float | None = Field(
        default=None,
        ge=-LARGEST,
        le=LARGEST,
        description="Training ends when the metric reaches this; none: it does not.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Evaluations in a row without a new best that end training; none: no limit.",
    )
