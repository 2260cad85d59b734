import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.exact import ExactReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Case, Reward
from grpo.rollout.scorer import (
    Candidate,
    Score,
    ScoreFailure,
    Scorer,
    is_right,
    num_processes,
    overlong_penalty,
)
from grpo.spec.algorithm import Overlong
from grpo.spec.resolve import resolve
from grpo.spec.rollout import Scoring

EXACT = ExactReward(type="exact", weight=0.25)
NUMBER = NumberReward(type="number", weight=2.0, name="value")


class BrokenReward(Reward):
    type: str = "broken"
    said: str | None = None

    @property
    def cheap(self) -> bool:
        return True

    def score(self, case: Case) -> float:  # noqa: ARG002 - it never looks
        if self.said is None:
            raise ZeroDivisionError
        return float(self.said)


def candidate(text: str, *, answer: str = "18", row: int = 17) -> Candidate:
    prompt = Prompt(
        index=0, row=row, text="9*2=", token_ids=(57,), answer=answer, source="sums", fields={}
    )
    return Candidate(text, len(text), prompt)


def scores(rewards: Sequence[Reward], *candidates: Candidate) -> list[Score | ScoreFailure]:
    return Scorer(rewards, Scoring()).score(candidates)


def test_a_score_is_the_weighted_sum_and_keeps_its_parts_by_name():
    assert scores([EXACT, NUMBER], candidate("it is 18"), candidate("18")) == [
        Score(2.0, {"exact": 0.0, "value": 1.0}),
        Score(2.25, {"exact": 1.0, "value": 1.0}),
    ]


def test_a_completion_is_right_when_every_part_that_adds_is_at_its_full_mark():
    penalty = NumberReward(type="number", weight=-1.0, name="penalty")
    assert is_right([EXACT, NUMBER], Score(2.25, {"exact": 1.0, "value": 1.0}))
    assert not is_right([EXACT, NUMBER], Score(2.0, {"exact": 0.0, "value": 1.0}))
    assert is_right([EXACT, penalty], Score(0.25, {"exact": 1.0, "penalty": 0.0}))


def test_a_full_mark_survives_the_rounding_of_a_formula():
    formula = "0.7*exact + 0.2*number + 0.1*length"
    parts = [{"type": "exact"}, {"type": "number"}]
    length = {"type": "length", "target_tokens": 10, "limit_tokens": 20}
    multi = {"type": "multi", "rewards": [*parts, length], "calculate_output": formula}
    multi["correctness"] = True
    rewards = resolve({"rewards": [multi]}).rewards
    (score,) = scores(rewards, candidate("18"))
    assert isinstance(score, Score)
    assert score.total < 1  # 0.9999999999999999
    assert is_right(rewards, score)


@pytest.mark.parametrize(
    ("reward", "cause"),
    [
        (BrokenReward(), "ZeroDivisionError"),
        (BrokenReward(said="nan"), "its score is nan"),
        (BrokenReward(said="-inf"), "its score is -inf"),
    ],
)
def test_a_reward_that_fails_is_named_with_row_and_cause(reward: BrokenReward, cause: str):
    assert scores([EXACT, reward], candidate("18", row=3)) == [ScoreFailure("broken", 3, cause)]


def test_an_answer_that_a_reward_cannot_use_fails_its_own_completion_alone():
    failed = ScoreFailure("value", 3, "the answer 'many' contains no number")
    assert scores([NUMBER], candidate("18"), candidate("18", answer="many", row=3)) == [
        Score(2.0, {"value": 1.0}),
        failed,
    ]


def test_the_first_reward_that_can_extracts_the_answer():
    shape: dict[str, Any] = {"type": "format", "tags": ["a"]}
    rewards = resolve({"rewards": [shape, {"type": "number"}, {"type": "exact"}]}).rewards
    assert Scorer(rewards, Scoring()).answers(["it is 18.0", "none"]) == ["18", None]
    assert Scorer(rewards[:1], Scoring()).answers(["it is 18.0"]) == [None]


def test_rewards_with_templates_see_the_row():
    """Score in the trainer's process, in a scoring process, and as parts of another reward."""
    said = {"input": "{{sample.output_text}}", "reference": "{{item.city}}"}
    check = {"type": "string_check", **said}
    close = {"type": "text_similarity", **said}
    formula = "0.5*string_check + 0.5*text_similarity"
    multi = {"type": "multi", "rewards": [check, close], "calculate_output": formula}
    prompt = replace(candidate("").prompt, fields={"city": "Rome"})
    scorer = Scorer(resolve({"rewards": [check, close, multi]}).rewards, Scoring(processes=1))
    try:
        assert scorer.score([Candidate("Rome", 1, prompt), Candidate("R", 1, prompt)]) == [
            Score(3.0, {"string_check": 1.0, "text_similarity": 1.0, "multi": 1.0}),
            # One of five characters is matched on both sides: 2 / 5.
            Score(0.4 + 0.2, {"string_check": 0.0, "text_similarity": 0.4, "multi": 0.2}),
        ]
    finally:
        scorer.close()


def test_code_of_a_spec_is_not_run_where_that_is_off():
    source = "def grade(sample, item): return 1"
    rewards = resolve({"rewards": [{"type": "python", "source": source}]}).rewards
    with pytest.raises(RunError, match="runs Python code") as refused:
        Scorer(rewards, Scoring())
    assert refused.value.code == "python_not_allowed"


@pytest.mark.parametrize(
    ("num_tokens", "penalty"),
    [(0, 0.0), (768, 0.0), (832, -0.5), (896, -1.0), (1024, -2.0), (2000, -2.0)],
)
def test_the_overlong_penalty_falls_in_a_line_over_the_buffer(num_tokens: int, penalty: float):
    overlong = Overlong(buffer_tokens=256, penalty=2.0)
    assert overlong_penalty(num_tokens, max_tokens=1024, overlong=overlong) == penalty


def test_there_is_a_scoring_process_for_each_core_unless_the_spec_says_otherwise():
    assert num_processes(Scoring()) == min(32, len(os.sched_getaffinity(0)))
    assert num_processes(Scoring(processes=7)) == 7
