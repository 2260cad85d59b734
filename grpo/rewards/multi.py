"""`multi`: several rewards combined by a formula."""

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from grpo.rewards.deferral import is_deferred
from grpo.rewards.formula import Formula
from grpo.rewards.reward import Case, Reward
from grpo.rewards.single import SingleReward


class MultiReward(Reward):
    """A formula over several named rewards."""

    type: Literal["multi"] = Field(description="Type of the reward.")
    rewards: list[SingleReward] = Field(
        min_length=1,
        max_length=16,
        description="Rewards used in the formula, by name; their `weight` and `correctness` cannot "
        "be set.",
    )
    calculate_output: str = Field(
        min_length=1,
        max_length=500,
        description="Formula over the rewards' names, e.g. 0.8*math + 0.2*format, with + - * / "
        "^ and min, max, abs, floor, ceil, exp, sqrt, log.",
    )

    @field_validator("rewards")
    @classmethod
    def _named_and_unweighted(cls, rewards: list[Reward]) -> list[Reward]:
        parts = [reward.part for reward in rewards]
        doubled = sorted({part for part in parts if parts.count(part) > 1})
        if doubled:
            raise ValueError(f"two rewards are named {doubled[0]!r}: give each its own `name`")
        if any(reward.weight != 1 for reward in rewards):
            raise ValueError("`weight` cannot be set here: calculate_output weights the rewards")
        if any(reward.correctness is not None for reward in rewards):
            raise ValueError("`correctness` cannot be set here: set it on the multi reward")
        return rewards

    @model_validator(mode="after")
    def _formula_over_the_parts(self, info: ValidationInfo) -> Self:
        if is_deferred(info):
            return self
        Formula(self.calculate_output, names=[reward.part for reward in self.rewards])
        return self

    @property
    def costly_to_check(self) -> bool:
        return True

    @property
    def cheap(self) -> bool:
        return all(reward.cheap for reward in self.rewards)

    @property
    def remote(self) -> bool:
        return any(reward.remote for reward in self.rewards)

    @property
    def runs_python(self) -> bool:
        return any(reward.runs_python for reward in self.rewards)

    @property
    def expects_answer(self) -> bool:
        return any(reward.expects_answer for reward in self.rewards)

    @property
    def graded(self) -> bool:
        return True

    @property
    def reads_row(self) -> bool:
        return any(reward.reads_row for reward in self.rewards)

    def prepare(self) -> None:
        for reward in self.rewards:
            reward.prepare()

    @property
    def checks_answer(self) -> bool:
        return any(reward.checks_answer for reward in self.rewards)

    def check_answer(self, case: Case) -> None:
        for reward in self.rewards:
            reward.check_answer(case)

    def completion_for(self, case: Case) -> str | None:
        """Return the completion of the first part that has one."""
        found = (reward.completion_for(case) for reward in self.rewards)
        return next((text for text in found if text is not None), None)

    def score(self, case: Case) -> float:
        parts = {
            part: case.given[part] if part in case.given else reward.score(case)
            for part, reward in ((reward.part, reward) for reward in self.rewards)
        }
        return Formula(self.calculate_output, names=list(parts)).value(parts)
