"""The job spec: everything a training run is made of."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from grpo.rewards.catalogue import AnyReward
from grpo.rewards.number import NumberReward
from grpo.spec.section import Section
from grpo.spec.sections import (
    Algorithm,
    Budget,
    Checkpoints,
    Data,
    Evaluation,
    Model,
    Optimizer,
    Resources,
    Rollout,
)

Label = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class JobSpec(Section):
    """A resolved spec: defaults, then the preset, then what the user wrote."""

    version: Literal[1] = 1
    name: str = Field("untitled", min_length=1, max_length=200)
    preset: str | None = Field("2-grpo", description="Settings to start from: see the presets.")
    model: Model = Model()
    data: Data = Data()
    rewards: list[AnyReward] = Field(
        [NumberReward(type="number")], min_length=1, max_length=16, description="Summed by weight."
    )
    algorithm: Algorithm = Algorithm()
    optimizer: Optimizer = Optimizer()
    rollout: Rollout = Rollout()
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()
    budget: Budget = Budget()
    resources: Resources = Resources()
    seed: int = Field(0, ge=0, lt=2**63)
    labels: dict[Label, Label] = Field({}, max_length=50)

    @model_validator(mode="after")
    def _distinct_reward_names(self) -> Self:
        parts = [reward.part for reward in self.rewards]
        doubled = {part for part in parts if parts.count(part) > 1}
        if doubled:
            raise ValueError(f"two rewards are named {doubled.pop()!r}: give each its own `name`")
        return self
