"""Contents of a minibatch, and the divisor of its loss."""

from dataclasses import replace
from typing import Any

import pytest

from grpo.data.prompts import Prompt
from grpo.learning.minibatch import Minibatch, make_minibatches
from grpo.reporting.step_metrics import batch_metrics
from grpo.rollout.collector import Batch
from grpo.rollout.engines.engine import Completion
from grpo.rollout.groups import Group, Rollout
from grpo.rollout.scorer import Score
from grpo.spec.algorithm import Advantage, Algorithm

MAX_TOKENS = 10


def group(*rollouts: tuple[float, int]) -> Group:
    """Return groups from (reward, tokens); completions of MAX_TOKENS were cut off."""
    prompt = Prompt(0, row=1, text="", token_ids=(1,), answer="", source="a", fields={})
    made = tuple(
        Rollout(
            prompt,
            sibling,
            Completion((2,) * size, (-1.0,) * size, "length" if size == MAX_TOKENS else "stop"),
            "",
            Score(reward, {}),
            right=reward == 1,
        )
        for sibling, (reward, size) in enumerate(rollouts)
    )
    tied = len({reward for reward, _ in rollouts}) == 1
    advantages = tuple(0.0 if tied else 2 * reward - 1 for reward, _ in rollouts)
    return Group(prompt, made, advantages, tied)


GROUPS = [
    group((1, 2), (0, 4)),  # a contrast
    group((1, 3), (1, 3)),
    group((0, 10), (1, 1)),  # a contrast, one completion cut off
    group((0, 5), (0, 0)),  # one completion empty
]


def test_a_tie_with_an_advantage_is_learnt_from():
    tie = replace(GROUPS[1], advantages=(0.25, 0.25))
    settings = Algorithm(denominator="contrasting")
    [minibatch] = make_minibatches([GROUPS[0], tie, GROUPS[3]], settings, max_tokens=MAX_TOKENS)
    assert [row.advantage for row in minibatch.rows] == [1, -1, 0.25, 0.25]
    assert minibatch.denominator == 4


def test_groups_that_are_learnt_from_are_counted_apart_from_contrasts():
    tie = replace(GROUPS[1], advantages=(0.25, 0.25))
    batch = Batch((GROUPS[0], tie, GROUPS[3]), (), (), num_skipped=0, num_rollouts=6, num_tokens=9)
    shrunk = Algorithm(advantage=Advantage(baseline="shrunk"))
    assert batch_metrics(batch, shrunk)["groups/gradient_fraction"] == 2 / 3
    assert "groups/gradient_fraction" not in batch_metrics(batch, Algorithm())


def parts(**algorithm: Any) -> list[Minibatch]:
    return make_minibatches(GROUPS, Algorithm(**algorithm), max_tokens=MAX_TOKENS)


def lengths(minibatch: Minibatch) -> list[int]:
    return [len(row.completion_ids) for row in minibatch.rows]


def test_ties_are_left_out_and_counted():
    (whole,) = parts()
    assert lengths(whole) == [2, 4, 10, 1]
    assert [row.advantage for row in whole.rows] == [1, -1, -1, 1]
    assert (whole.num_completions, whole.num_completion_tokens) == (8, 28)
    assert [len(r.completion.token_ids) for r in whole.rollouts] == lengths(whole)


def test_kept_ties_are_rows_and_an_empty_completion_is_none():
    (whole,) = parts(ties={"policy": "keep"})
    assert lengths(whole) == [2, 4, 3, 3, 10, 1, 5]


@pytest.mark.parametrize(
    ("loss", "all_of_them", "contrasting"),
    [
        ("grpo", 8, 4),
        ("gspo", 8, 4),
        ("dr_grpo", 80, 40),
        ("bnpo", 28, 17),
        ("dapo", 28, 17),
        ("cispo", 28, 17),
    ],
)
def test_denominators_of_the_losses(loss: str, all_of_them: int, contrasting: int):
    assert parts(loss=loss)[0].denominator == all_of_them
    assert parts(loss=loss, denominator="contrasting")[0].denominator == contrasting


def test_minibatches_are_split_before_ties_are_left_out():
    first, second = parts(minibatches=2)
    assert (lengths(first), lengths(second)) == ([2, 4], [10, 1])
    assert (first.denominator, second.denominator) == (4, 4)


def test_bnpo_counts_the_minibatchs_tokens_and_dapo_the_steps():
    assert [part.denominator for part in parts(loss="bnpo", minibatches=2)] == [12, 16]
    assert [part.denominator for part in parts(loss="dapo", minibatches=2)] == [14, 14]


def test_masked_completions_are_not_rows_and_count_only_as_completions():
    (by_completion,) = parts(truncated="mask")
    assert lengths(by_completion) == [2, 4, 1]
    assert by_completion.denominator == 8
    assert parts(truncated="mask", loss="dapo")[0].denominator == 18


def test_a_minibatch_of_ties_has_no_row_and_a_denominator_that_divides():
    (whole,) = make_minibatches(
        [group((1, 2), (1, 2))], Algorithm(denominator="contrasting"), max_tokens=MAX_TOKENS
    )
    assert whole.rows == ()
    assert whole.denominator == 1


def test_masked_completions_count_among_the_completions_and_not_among_the_tokens():
    (whole,) = parts(truncated="mask")
    assert (whole.num_completions, whole.num_completion_tokens) == (8, 18)
