"""Unusable rows are counted, reported and left out; or the data is refused."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from grpo.builtin.catalogue import MODELS
from grpo.data.prompts import PromptSet, load_prompts
from grpo.errors import RunError
from grpo.models.locate import open_folder
from grpo.rewards.math import MathReward
from grpo.rewards.multi import MultiReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Reward
from grpo.rewards.string_check import StringCheckReward
from grpo.rollout.failure_rate import STEPS, FailureRate
from grpo.rollout.scorer import Scorer
from grpo.spec.data import Data
from grpo.spec.rollout import Scoring

NUMBER = NumberReward(type="number")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return open_folder(MODELS["tiny-arithmetic"].folder).load_tokenizer()


def write(path: Path, answers: list[Any]) -> Path:
    rows = [{"question": f"{n}=", "answer": answer} for n, answer in enumerate(answers)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(
    tokenizer: PreTrainedTokenizerBase, path: Path, reward: Reward = NUMBER, **data: Any
) -> PromptSet:
    settings = Data.model_validate({"train": str(path), **data})
    with closing(Scorer([reward], Scoring())) as scorer:
        return load_prompts(
            settings.train_sources,
            data=settings,
            tokenizer=tokenizer,
            split="train",
            check_answers=scorer.check_answers,
        )


BAD = [None, "n/a", "3 or 4", "", "many"]


@pytest.mark.parametrize("bad", BAD)
def test_a_few_unusable_rows_are_left_out_and_reported(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, bad: object
):
    path = write(tmp_path / "rows", [*range(120), bad, *range(79)])
    loaded = load(tokenizer, path)
    assert [prompt.index for prompt in loaded.prompts] == list(range(199))
    assert [prompt.row for prompt in loaded.prompts][119:121] == [120, 122]
    assert loaded.sources[0].num_prompts == 199
    [warning] = loaded.warnings
    assert "1 of 200 rows (0.5%) cannot be used" in warning
    assert "121" in warning


@pytest.mark.parametrize("bad", BAD)
def test_many_unusable_rows_are_refused_with_the_first_of_them(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, bad: object
):
    path = write(tmp_path / "rows", [1, bad, 2, bad, *range(46)])
    with pytest.raises(RunError, match=r"2 of 50 rows \(4.0%\) cannot be used: ") as refused:
        load(tokenizer, path)
    assert refused.value.code == "bad_data"
    assert "2" in refused.value.message
    assert "data.unusable" in refused.value.hint


def test_the_spec_may_refuse_any_or_skip_all(tokenizer: PreTrainedTokenizerBase, tmp_path: Path):
    few = write(tmp_path / "few", [*range(199), "n/a"])
    many = write(tmp_path / "many", ["n/a", "n/a", 3])
    with pytest.raises(RunError, match="1 of 200 rows"):
        load(tokenizer, few, unusable="refuse")
    assert len(load(tokenizer, many, unusable="skip").prompts) == 1
    with pytest.raises(RunError, match="2 of 2 rows"):
        load(tokenizer, write(tmp_path / "none", [None, None]), unusable="skip")


def test_each_reward_checks_the_answers_that_it_needs(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
):
    answers = ["3/4", "n/a", r"\frac{1}{2}", "x^2"]
    path = write(tmp_path / "rows", answers)
    multi = MultiReward(type="multi", rewards=[NUMBER], calculate_output="number")
    named = StringCheckReward(type="string_check", reference="{{item.city}}")
    math = MathReward(type="math")
    left = {
        reward.type: [p.answer for p in load(tokenizer, path, reward, unusable="skip").prompts]
        for reward in (NUMBER, multi, math)
    }
    assert left == {
        "number": ["3/4", r"\frac{1}{2}"],
        "multi": ["3/4", r"\frac{1}{2}"],
        "math": ["3/4", r"\frac{1}{2}", "x^2"],
    }
    with pytest.raises(RunError, match=r"4 of 4 rows .* 'city'"):
        load(tokenizer, path, named)


def steps(*failed: int) -> Iterator[FailureRate]:
    rate = FailureRate()
    for number in failed:
        rate.add(num_failed=number, num_scored=100)
        yield rate


def test_failures_are_a_share_of_the_last_steps():
    *_, rate = steps(*[5] * 100)
    assert rate.value == 0.05
    assert not rate.is_above(0.05)
    assert rate.is_above(0.04)
    *_, rate = steps(100, *[0] * STEPS)
    assert rate.value == 0
    *_, rate = steps(4)
    assert not rate.is_above(0.01), "a few say little"


def test_a_resumed_run_counts_the_failures_of_the_steps_before():
    *_, rate = steps(*[0] * STEPS, 2, 2)
    resumed = FailureRate(rate.steps)
    assert (resumed.num_failed, resumed.value) == (4, 4 / (100 * STEPS))
    resumed.add(num_failed=1, num_scored=100)
    assert resumed.is_above(0.002), "the fifth failure"
    assert not FailureRate([(1, 100)]).is_above(0.002), "the first one"
