"""The job spec: everything a training run is made of."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from grpo.rewards.catalogue import AnyReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import judges
from grpo.spec.algorithm import Algorithm
from grpo.spec.data import Data
from grpo.spec.lifecycle import Budget, Checkpoints, Reporting, Resources
from grpo.spec.model import Model
from grpo.spec.optimizer import Optimizer
from grpo.spec.rollout import Evaluation, Rollout, Scoring
from grpo.values.section import Section

Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]
OF_CORRECTNESS = re.compile(r"(^|/)(accuracy|pass@\d+|majority@\d+)$")
LabelValue = Annotated[str, StringConstraints(max_length=512)]


class JobSpec(Section):
    """A resolved spec: defaults, then the preset, then what the user wrote."""

    version: Literal[1] = Field(default=1, description="Format of this document.")
    name: str = Field(
        default="untitled", min_length=1, max_length=200, description="Shown in lists."
    )
    preset: str | None = Field(
        default="2-grpo", max_length=100, description="Settings to start from: see the presets."
    )
    model: Model = Field(default=Model(), description="Which model the policy starts from.")
    data: Data = Field(default=Data(), description="What it trains on and is evaluated on.")
    rewards: list[AnyReward] = Field(
        default=[NumberReward(type="number")],
        min_length=1,
        max_length=16,
        description="Summed by weight.",
    )
    algorithm: Algorithm = Field(default=Algorithm(), description="k-GRPO's own settings.")
    optimizer: Optimizer = Field(default=Optimizer(), description="How the weights move.")
    rollout: Rollout = Field(default=Rollout(), description="Sampling of training completions.")
    scoring: Scoring = Field(
        default=Scoring(), description="What a reward may cost, and what its failure means."
    )
    evaluation: Evaluation = Field(
        default=Evaluation(), description="How held-out accuracy is measured."
    )
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="When the run is saved.")
    reporting: Reporting = Field(
        default=Reporting(), description="What a run says beyond its metrics."
    )
    budget: Budget = Field(default=Budget(), description="When training ends.")
    resources: Resources = Field(default=Resources(), description="What the job needs of a worker.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Decides every draw of the run.")
    labels: dict[Label, LabelValue] = Field(
        default={}, max_length=50, description="For filters; free text."
    )

    @property
    def longest_completion(self) -> int:
        """In training or in an evaluation [tokens]."""
        return max(self.rollout.max_tokens, self.evaluation.max_tokens or 0)

    @model_validator(mode="after")
    def _distinct_reward_names(self) -> Self:
        parts = [reward.part for reward in self.rewards]
        doubled = sorted({part for part in parts if parts.count(part) > 1})
        if doubled:
            raise ValueError(f"two rewards are named {doubled[0]!r}: give each its own `name`")
        return self

    @model_validator(mode="after")
    def _metric_that_is_reported(self) -> Self:
        """Without a reward that judges correctness there is no accuracy to go by."""
        if judges(self.rewards):
            return self
        if "metric" not in self.evaluation.model_fields_set:
            by_reward = self.evaluation.model_copy(update={"metric": "eval/reward"})
            object.__setattr__(self, "evaluation", by_reward)
        elif self.data.eval is not None and OF_CORRECTNESS.search(self.evaluation.metric):
            raise ValueError(
                f"evaluation.metric {self.evaluation.metric} needs a reward that judges "
                "correctness: set correctness: true on the one that does, or take eval/reward"
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
