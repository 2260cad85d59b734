"""Findings of a preflight about rewards, worked by hand."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from grpo.rewards.preflight import Report, preflight
from grpo.rewards.reward import Case, Reward
from grpo.rewards.tryout import open_tryout
from grpo.spec.resolve import resolve

ROWS = [
    Case("", 0, answer, {"city": city, "answer": answer})
    for answer, city in [("18", "Rome"), ("-2.5", "Oslo"), ("1,000", "Bonn")]
]
OWN_CODE = "def grade(sample, item): return float(item['answer'] in sample['output_text'])"


def reports(
    *rewards: dict[str, Any],
    rows: list[Case] = ROWS,
    max_tokens: int = 64,
    seconds: float = 30,
    seconds_each: float = 5,
    clock: Callable[[], float] | None = None,
) -> list[Report]:
    timed: dict[str, Any] = {} if clock is None else {"clock": clock}
    parsed = resolve({"rewards": rewards}).rewards
    with open_tryout(parsed, seconds_each=seconds_each, seconds_in_all=seconds, **timed) as tryout:
        return preflight(tryout, rows, max_tokens=max_tokens)


def scores(report: Report) -> dict[str, list[float | None]]:
    return {kind: tried.scores for kind, tried in report.kinds.items()}


@pytest.mark.parametrize(
    ("reward", "right", "wrong"),
    [
        ({"type": "exact"}, "18", "-2.5"),
        ({"type": "exact", "after": "####"}, "#### 18", "#### -2.5"),
        ({"type": "number", "after": "Answer:"}, "Answer: 18", "Answer: -2.5"),
        ({"type": "math"}, "$18$", "$-2.5$"),
        ({"type": "math", "after": "####"}, "#### $18$", "#### $-2.5$"),
        ({"type": "string_check", "reference": "{{item.city}}"}, "Rome", "Oslo"),
        ({"type": "string_check", "reference": "in {{item.city}}", "operation": "ilike"},
         "in Rome", "in Oslo"),
        ({"type": "text_similarity", "reference": "{{item.city}}", "threshold": 0.6},
         "Rome", "Oslo"),
        ({"type": "multi", "rewards": [{"type": "format", "tags": ["a"]}, {"type": "number"}],
          "calculate_output": "format * number"}, "<a>18</a>", "<a>-2.5</a>"),
    ],
)  # fmt: skip
def test_the_right_completion_has_the_answer_where_the_reward_reads_it(
    reward: dict[str, Any], right: str, wrong: str
):
    (report,) = reports(reward)
    assert (report.kinds["right"].text, report.kinds["wrong"].text) == (right, wrong)
    assert report.kinds["huge"].text == ((wrong + "\n") * 64)[: 4 * 64]
    assert scores(report) == {
        "right": [1, 1, 1],
        "wrong": [0, 0, 0],
        "empty": [0, 0, 0],
        "huge": [0, 0, 0],
    }
    assert report.warnings == []


def test_rewards_that_expect_no_answer_are_right_in_their_own_sense():
    shape, length = reports(
        {"type": "format", "tags": ["think", "answer"]},
        {"type": "length", "target_tokens": 2, "limit_tokens": 66},
    )
    assert shape.kinds["right"].text == "<think>18</think><answer>18</answer>"
    assert scores(shape)["right"] == scores(shape)["wrong"] == [1, 1, 1]
    assert scores(shape)["empty"] == scores(shape)["huge"] == [0, 0, 0]
    assert scores(length) == {
        "right": [1, 1, 1],  # 1 or 2 tokens
        "wrong": [1, 1, 1],
        "empty": [1, 1, 1],
        "huge": [0.03125] * 3,  # (66 - 64) / (66 - 2)
    }
    assert [shape.warnings, length.warnings] == [[], []]


def test_a_reward_that_gives_everything_the_same_is_named_as_such():
    (report,) = reports({"type": "length", "target_tokens": 64, "limit_tokens": 66})
    assert report.warnings == ["it scores every completion 1, even an empty one"]


def test_a_reward_that_cannot_tell_right_from_wrong_is_warned_of():
    misplaced = {"type": "string_check", "operation": "like", "reference": "{{item.city}}"}
    upside_down = {"type": "number", "weight": -1.0}
    alike = [Case("", 0, answer, {"city": "o"}) for answer in ("Oslo", "Bonn")]
    (report,) = reports(
        {"type": "multi", "rewards": [misplaced], "calculate_output": "1 - string_check"}
    )
    assert report.warnings == ["it cannot tell right from wrong: 'Rome' scores 0, 'Oslo' scores 1"]
    assert reports(upside_down)[0].warnings == [
        "it cannot tell right from wrong: '18' scores 1, '-2.5' scores 0"
    ]
    assert "wrong" not in reports(misplaced, rows=alike)[0].kinds


def test_an_answer_that_a_reward_cannot_use_is_reported():
    rows = [*ROWS, Case("", 0, "many")]
    (report,) = reports({"type": "number"}, rows=rows)
    assert scores(report)["right"] == [1, 1, 1, None]
    said = "4 of 16 completions could not be scored: the answer 'many' contains no number"
    assert report.warnings == [said]


def test_a_right_completion_is_never_guessed():
    pattern, schema, code = reports(
        {"type": "regex", "pattern": r"answer: (\w+)", "capture": 1},
        {"type": "json_schema", "definition": {"type": "object"}},
        {"type": "python", "source": OWN_CODE},
    )
    for report in (pattern, schema, code):
        assert set(report.kinds) == {"empty", "huge"}
        assert report.guide is None
        assert report.warnings == []


def test_an_authors_own_code_is_tried_on_what_another_reward_calls_right():
    upside_down = OWN_CODE.replace("in", "not in")
    shape = {"type": "format", "tags": ["answer"]}
    _, good, bad = reports(
        shape,
        {"type": "python", "source": OWN_CODE},
        {"type": "python", "source": upside_down, "name": "bad"},
    )
    assert good.guide is not None
    assert (good.guide.part, good.kinds["right"].text) == ("format", "<answer>18</answer>")
    assert (scores(good)["right"], scores(good)["wrong"]) == ([1, 1, 1], [0, 0, 0])
    assert good.warnings == []
    (said,) = bad.warnings
    assert said.startswith("it cannot tell right from wrong: '<answer>18</answer>' scores 0")


def test_code_that_raises_hangs_or_cannot_be_loaded_fails_alone():
    hangs = "def grade(sample, item):\n    while True: pass"
    number, raises, broken, slow = reports(
        {"type": "number"},
        {"type": "python", "source": "def grade(sample, item): return item['ansr']"},
        {"type": "python", "source": "import torch\ndef grade(sample, item): pass", "name": "b"},
        {"type": "python", "source": hangs, "name": "c"},
        rows=ROWS[:2],
        seconds_each=2,
    )
    assert number.warnings == []
    assert raises.warnings == [
        "8 of 8 completions could not be scored: KeyError: 'ansr' (line 1 of source)"
    ]
    assert "it cannot be loaded: ModuleNotFoundError: No module named 'torch'" in broken.warnings[0]
    causes = {trial.error for tried in slow.kinds.values() for trial in tried.trials if trial}
    assert causes == {"it took longer than 2 s"}


class LackingReward(Reward):
    """Reward with a missing library, like `text_similarity` by BLEU without sacrebleu."""

    type: str = "lacking"

    def prepare(self) -> None:
        import a_library_that_is_not_here  # noqa: F401  # pyright: ignore[reportMissingImports]

    def score(self, case: Case) -> float:
        raise NotImplementedError


def test_a_reward_with_a_missing_library_reports_where_it_can_be_tried():
    with open_tryout([LackingReward()], seconds_each=5, seconds_in_all=30) as tryout:
        trial = tryout.score(0, ROWS[0])
    assert (trial.score, trial.seconds) == (None, None)
    said = "it can only be tried on a machine with a_library_that_is_not_here, such as a worker"
    assert trial.error == said


def test_trials_not_started_in_time_are_reported_and_huge_completions_come_last():
    ticks = count()
    # It begins at second 0, and each score looks at the clock twice: the tenth begins at 19.
    (report,) = reports({"type": "number"}, seconds=19, clock=lambda: next(ticks))
    assert scores(report) == {
        "right": [1, 1, 1],
        "wrong": [0, 0, 0],
        "empty": [0, 0, 0],
        "huge": [None, None, None],
    }
    assert report.warnings == [
        "3 of 12 completions could not be scored: not tried: the 19 s for all trials were used up"
    ]


def test_a_huge_completion_has_its_bounds_whatever_a_spec_allows():
    (report,) = reports({"type": "number"}, max_tokens=2_000_000_000)
    assert len(report.kinds["huge"].text) == 200_000
