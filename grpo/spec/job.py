"""The job spec: all settings of a training run."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from grpo.rewards.catalogue import AnyReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import judges
from grpo.rewards.service.parts import service_parts
from grpo.spec.algorithm import Algorithm
from grpo.spec.data import Data
from grpo.spec.lifecycle import Budget, Checkpoints, Reporting, Resources
from grpo.spec.model import Dtype, Model
from grpo.spec.optimizer import Optimizer
from grpo.spec.rollout import Evaluation, Rollout, Scoring
from grpo.values.section import Section

Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]
OF_CORRECTNESS = re.compile(r"(^|/)(accuracy|pass@\d+|majority@\d+)$")
LabelValue = Annotated[str, StringConstraints(max_length=512)]


class JobSpec(Section):
    """A resolved spec: defaults, then the preset, then the user's settings."""

    version: Literal[1] = Field(default=1, description="Version of the spec format.")
    name: str = Field(
        default="untitled",
        min_length=1,
        max_length=200,
        description="Name of the job, shown in lists.",
    )
    preset: str | None = Field(
        default="2-grpo",
        max_length=100,
        description="Preset that supplies the settings not given here.",
    )
    model: Model = Field(default=Model(), description="Model that the policy starts from.")
    data: Data = Field(default=Data(), description="Training and evaluation data.")
    rewards: list[AnyReward] = Field(
        default=[NumberReward(type="number")],
        min_length=1,
        max_length=16,
        description="Rewards, summed by weight.",
    )
    algorithm: Algorithm = Field(default=Algorithm(), description="Settings of k-GRPO.")
    optimizer: Optimizer = Field(default=Optimizer(), description="Settings of the optimizer.")
    rollout: Rollout = Field(default=Rollout(), description="Sampling of training completions.")
    scoring: Scoring = Field(
        default=Scoring(), description="Limits on rewards and handling of their failures."
    )
    evaluation: Evaluation = Field(
        default=Evaluation(), description="Measurement of held-out accuracy."
    )
    checkpoints: Checkpoints = Field(
        default=Checkpoints(), description="Schedule and retention of checkpoints."
    )
    reporting: Reporting = Field(default=Reporting(), description="Logging beyond the metrics.")
    budget: Budget = Field(default=Budget(), description="Conditions that end training.")
    resources: Resources = Field(default=Resources(), description="Requirements on a worker.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of every random draw.")
    labels: dict[Label, LabelValue] = Field(
        default={}, max_length=50, description="Free-text labels, for filtering."
    )

    @property
    def longest_completion(self) -> int:
        """Longest completion in training or evaluation [tokens]."""
        return max(self.rollout.max_tokens, self.evaluation.max_tokens or 0)

    def with_precision(self, dtype: Dtype) -> "JobSpec":
        """Return the spec of an attempt, with its precision and the settings that depend on it
        resolved."""
        model = self.model.model_copy(update={"dtype": dtype})
        correction = self.algorithm.sampler_correction
        if correction.mode == "auto":
            mode = "none" if dtype == "float32" else "truncate"
            correction = correction.model_copy(update={"mode": mode})
        algorithm = self.algorithm.model_copy(update={"sampler_correction": correction})
        return self.model_copy(update={"model": model, "algorithm": algorithm})

    @model_validator(mode="after")
    def _distinct_reward_names(self) -> Self:
        parts = [reward.part for reward in self.rewards]
        doubled = sorted({part for part in parts if parts.count(part) > 1})
        if doubled:
            raise ValueError(f"two rewards are named {doubled[0]!r}: give each its own `name`")
        return self

    @model_validator(mode="after")
    def _groups_to_compare(self) -> Self:
        """Check that a judge that compares completions has all of a group at once."""
        if not any(part.compares for part in service_parts(self.rewards).values()):
            return self
        if self.algorithm.ties.policy == "grow":
            raise ValueError(
                "algorithm.ties.policy grow cannot be used with a pairwise judge, whose scores "
                "hold within a group: use drop, keep or resample"
            )
        if self.data.eval is not None and self.evaluation.samples < 2:
            raise ValueError(
                "a pairwise judge needs evaluation.samples of 2 or more: one completion alone has "
                "no score"
            )
        return self

    @model_validator(mode="after")
    def _metric_that_is_reported(self) -> Self:
        """Select eval/reward if no reward judges correctness, since accuracy is not reported
        then."""
        if judges(self.rewards):
            return self
        if "metric" not in self.evaluation.model_fields_set:
            by_reward = self.evaluation.model_copy(update={"metric": "eval/reward"})
            object.__setattr__(self, "evaluation", by_reward)
        elif self.data.eval is not None and OF_CORRECTNESS.search(self.evaluation.metric):
            raise ValueError(
                f"evaluation.metric {self.evaluation.metric} needs a reward that judges "
                "correctness: set correctness: true on that reward, or use eval/reward"
            )
        return self

    @model_validator(mode="after")
    def _within_the_context(self) -> Self:
        context = self.model.context_tokens
        needed = self.data.max_prompt_tokens + self.longest_completion
        if context is not None and context < needed:
            raise ValueError(
                f"model.context_tokens is {context}, less than the longest prompt and completion "
                f"together, {needed}: raise it, or lower data.max_prompt_tokens or "
                "rollout.max_tokens"
            )
        return self

    @model_validator(mode="after")
    def _reference_of_an_adapter(self) -> Self:
        if self.model.lora is not None and self.algorithm.kl.sync_every_steps is not None:
            raise ValueError(
                "algorithm.kl.sync_every_steps cannot be used with model.lora: the reference is "
                "the base under the adapter"
            )
        return self

    @model_validator(mode="after")
    def _buffer_within_a_completion(self) -> Self:
        algorithm, longest = self.algorithm, self.rollout.max_tokens
        if algorithm.truncated == "shape" and algorithm.overlong.buffer_tokens > longest:
            raise ValueError(
                f"algorithm.overlong.buffer_tokens {algorithm.overlong.buffer_tokens} must not be "
                f"above rollout.max_tokens {longest}"
            )
        return self
