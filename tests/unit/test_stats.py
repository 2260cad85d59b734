"""The metrics of a step, by values worked by hand."""

from statistics import fmean

import pytest
import torch

from grpo.data.prompts import Prompt
from grpo.engines.engine import Completion
from grpo.groups import Group, Rollout, compare
from grpo.learning import Learning
from grpo.metrics import table_name
from grpo.samples import pick_samples, rollout_rows, sample_payload
from grpo.scoring import Score
from grpo.spec.algorithm import Advantage
from grpo.stats import completion_metrics, learning_metrics, reward_metrics, speed_metrics
from grpo.update import Minibatch


def rollout(prompt: int, sibling: int, reward: float, *, num_tokens: int = 2, cut: bool = False):
    return Rollout(
        prompt=Prompt(prompt, row=prompt + 1, text=f"p{prompt}", token_ids=(1, 2, 3), answer="a"),
        sibling=sibling,
        completion=Completion((5,) * num_tokens, (-0.5,) * num_tokens, "length" if cut else "stop"),
        text="t",
        score=Score(reward, {"exact": reward}),
        right=reward == 1,
    )


@pytest.fixture
def groups() -> list[Group]:
    """Four pairs: mixed, all right, all wrong, all wrong."""
    rewards = [1, 0, 1, 1, 0, 0, 0, 0]
    lengths = [2, 4, 2, 2, 6, 8, 2, 2]
    return compare(
        [
            rollout(place // 2, place % 2, reward, num_tokens=length, cut=length == 8)
            for place, (reward, length) in enumerate(zip(rewards, lengths, strict=True))
        ],
        group_size=2,
        advantage=Advantage(),
    )


def test_neighbouring_rollouts_are_compared(groups: list[Group]):
    assert [group.tied for group in groups] == [False, True, True, True]
    assert groups[0].advantages == (1, -1)
    assert groups[1].advantages == (0, 0)


def test_reward_metrics(groups: list[Group]):
    metrics = reward_metrics(groups)
    assert metrics == {
        "reward": 3 / 8,
        "reward_std": pytest.approx(0.5**0.5 / 4),  # the mixed pair's, sqrt(1/2), over four groups
        "rewards/exact/mean": 3 / 8,
        "rewards/exact/std": pytest.approx((3 * 5 / (8 * 7)) ** 0.5),
        "pass_rate": 3 / 8,
        "frac_reward_zero_std": 3 / 4,
        "groups/tied_fraction": 3 / 4,
        "groups/all_right_fraction": 1 / 4,
        "groups/all_wrong_fraction": 2 / 4,
    }


def test_completion_metrics(groups: list[Group]):
    assert completion_metrics(groups) == {
        "completions/mean_length": 28 / 8,
        "completions/min_length": 2,
        "completions/max_length": 8,
        "completions/mean_terminated_length": pytest.approx(20 / 7),
        "completions/clipped_ratio": 1 / 8,
    }


def test_a_step_of_ties_only_has_no_loss_and_claims_no_entropy_clip_or_gap(groups: list[Group]):
    nothing = Learning([], [], num_skipped=1, learning_rate=1e-4, logprob_gaps=torch.empty(0))
    assert learning_metrics(nothing) == {"loss": 0.0, "grad_norm": 0.0, "learning_rate": 1e-4}


def test_speeds_are_tokens_by_the_seconds_of_their_phase(groups: list[Group]):
    learning = Learning([], [Minibatch((), 8, 28)], 0, 1e-4, torch.empty(0))
    metrics = speed_metrics(groups, learning, {"rollout": 2.0, "update": 1.0, "step": 4.0})
    assert metrics["rollout/tokens_per_second"] == 14
    assert metrics["train/tokens_per_second"] == 0
    assert metrics["step_time"] == 4
    assert all(table_name(name) for name in metrics)


def test_samples_show_contrasts_and_a_tie_and_are_the_same_for_a_seed(groups: list[Group]):
    picked = pick_samples(groups * 3, seed=5)
    assert [group.tied for group in picked] == [False, False, True]
    assert picked == pick_samples(groups * 3, seed=5)
    assert [group.tied for group in pick_samples(groups[1:2], seed=5)] == [True]


def test_a_sample_says_all_of_a_group(groups: list[Group]):
    payload = sample_payload(groups[0])
    assert (payload["prompt"], payload["answer"], payload["outcome"]) == ("p0", "a", "mixed")
    assert payload["completions"][1] == {
        "text": "t",
        "reward": 0,
        "rewards": {"exact": 0},
        "advantage": -1,
        "num_tokens": 4,
        "finish_reason": "stop",
    }


def test_every_completion_is_a_row_of_the_rollouts(groups: list[Group]):
    rows = list(rollout_rows(groups, step=9))
    assert len(rows) == 8
    assert fmean(row["reward"] for row in rows) == 3 / 8
    assert {key: rows[3][key] for key in ("step", "row", "sibling", "prompt")} == {
        "step": 9,
        "row": 2,
        "sibling": 1,
        "prompt": "p1",
    }
