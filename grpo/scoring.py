"""A completion's reward: the weighted sum of its parts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.reward import Reward


@dataclass(frozen=True)
class Score:
    """`parts` are the rewards by name, before their weights."""

    total: float
    parts: dict[str, float]


def score(rewards: Sequence[Reward], *, text: str, prompt: Prompt) -> Score:
    """What every reward says of one completion.

    Raises:
        RunError: `reward_failed`, when one raises or gives no finite number: a made-up reward would
            train the model on it.
    """
    parts = {reward.part: _score_part(reward, text=text, prompt=prompt) for reward in rewards}
    return Score(sum(reward.weight * parts[reward.part] for reward in rewards), parts)


def is_right(rewards: Sequence[Reward], scored: Score) -> bool:
    """Whether every positively weighted part is at its full mark of 1."""
    return all(scored.parts[reward.part] >= 1 for reward in rewards if reward.weight > 0)


def _score_part(reward: Reward, *, text: str, prompt: Prompt) -> float:
    try:
        value = reward.score(text, prompt.answer)
    except Exception as error:
        cause = str(error) or type(error).__name__
        raise _failure(reward, prompt, cause) from error
    if not math.isfinite(value):
        raise _failure(reward, prompt, f"its score is {value}")
    return value


def _failure(reward: Reward, prompt: Prompt, cause: str) -> RunError:
    return RunError(
        "reward_failed",
        f"the reward {reward.part!r} failed on a completion of row {prompt.row}: {cause}",
        hint="Check that row's answer, and data.answer and data.answer_after.",
    )
