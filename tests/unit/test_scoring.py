import pytest

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.exact import ExactReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Reward
from grpo.scoring import Score, is_right, score

PROMPT = Prompt(index=0, row=17, text="9*2=", token_ids=(57,), answer="18")
EXACT = ExactReward(type="exact", weight=0.25)
NUMBER = NumberReward(type="number", weight=2.0, name="value")


class BrokenReward(Reward):
    type: str = "broken"
    said: str | None = None

    def score(self, completion: str, answer: str) -> float:  # noqa: ARG002 - it never looks
        if self.said is None:
            raise ZeroDivisionError
        return float(self.said)


def test_a_score_is_the_weighted_sum_and_keeps_its_parts_by_name():
    assert score([EXACT, NUMBER], text="it is 18", prompt=PROMPT) == Score(
        2.0, {"exact": 0.0, "value": 1.0}
    )
    assert score([EXACT, NUMBER], text="18", prompt=PROMPT).total == 2.25


def test_a_completion_is_right_when_every_part_that_adds_is_at_its_full_mark():
    penalty = NumberReward(type="number", weight=-1.0, name="penalty")
    assert is_right([EXACT, NUMBER], Score(2.25, {"exact": 1.0, "value": 1.0}))
    assert not is_right([EXACT, NUMBER], Score(2.0, {"exact": 0.0, "value": 1.0}))
    assert is_right([EXACT, penalty], Score(0.25, {"exact": 1.0, "penalty": 0.0}))


@pytest.mark.parametrize(
    ("reward", "cause"),
    [
        (BrokenReward(), "ZeroDivisionError"),
        (BrokenReward(said="nan"), "its score is nan"),
        (BrokenReward(said="-inf"), "its score is -inf"),
    ],
)
def test_a_reward_that_fails_ends_the_run_naming_reward_row_and_cause(
    reward: BrokenReward, cause: str
):
    with pytest.raises(RunError, match=f"'broken' failed on a completion of row 17: {cause}") as it:
        score([reward], text="18", prompt=PROMPT)
    assert it.value.code == "reward_failed"


def test_an_answer_that_a_reward_cannot_use_is_named():
    prompt = Prompt(index=0, row=3, text="?", token_ids=(63,), answer="many")
    with pytest.raises(
        RunError, match=r"'value' failed .* row 3: the answer 'many' holds no number"
    ):
        score([NUMBER], text="18", prompt=prompt)
