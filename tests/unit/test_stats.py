"""The metrics of a step, by values worked by hand."""

import pytest
import torch

from grpo.algorithm.loss import ClipCounts
from grpo.algorithm.sampler_correction import SamplerRatios
from grpo.data.prompts import Prompt
from grpo.learning.forward_backward import BatchResult
from grpo.learning.learner import StepUpdates
from grpo.learning.minibatch import Minibatch, Row
from grpo.learning.update import Update
from grpo.reporting.metric_table import table_name
from grpo.reporting.step_metrics import (
    batch_metrics,
    completion_metrics,
    learning_metrics,
    reward_metrics,
    speed_metrics,
)
from grpo.rollout.collector import Batch
from grpo.rollout.engines.engine import Completion
from grpo.rollout.groups import Group, Rollout, compare
from grpo.rollout.scorer import Score
from grpo.spec.algorithm import Advantage, Algorithm, Kl, SamplerCorrection, Ties


def rollout(prompt: int, sibling: int, reward: float, *, num_tokens: int = 2, cut: bool = False):
    return Rollout(
        prompt=Prompt(prompt, prompt + 1, "", (1, 2, 3), answer="a", source="s", fields={}),
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
    rollouts = [
        rollout(place // 2, place % 2, reward, num_tokens=length, cut=length == 8)
        for place, (reward, length) in enumerate(zip(rewards, lengths, strict=True))
    ]
    return compare([rollouts[place : place + 2] for place in range(0, 8, 2)], advantage=Advantage())


def test_neighbouring_rollouts_are_compared(groups: list[Group]):
    assert [group.tied for group in groups] == [False, True, True, True]
    assert groups[0].advantages == (1, -1)
    assert groups[1].advantages == (0, 0)


def test_reward_metrics(groups: list[Group]):
    metrics = reward_metrics(groups, group_size=2)
    assert metrics == {
        "reward": 3 / 8,
        "reward_std": pytest.approx(0.5**0.5 / 4),  # the mixed pair's, sqrt(1/2), over four groups
        "rewards/exact/mean": 3 / 8,
        "rewards/exact/std": pytest.approx((3 * 5 / (8 * 7)) ** 0.5),
        "pass_rate": 3 / 8,
        "frac_reward_zero_std": 3 / 4,
        "groups/tied_fraction": 3 / 4,
        "groups/keep_rate": 1 / 4,
        "groups/expected_keep_rate": pytest.approx(2 * 3 / 8 * 5 / 8),
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


NOTHING = StepUpdates([], [], num_skipped=1, learning_rate=1e-4, policy_logprobs=[])


def test_a_step_of_ties_only_has_no_loss_and_claims_no_entropy_clip_or_gap():
    assert learning_metrics(NOTHING, Algorithm()) == {
        "loss": 0.0,
        "grad_norm": 0.0,
        "learning_rate": 1e-4,
    }


def two_updates() -> StepUpdates:
    """Return an update of a minibatch of two pairs, 8 tokens in all; 6 are trained on.  A second
    minibatch, a pair of 2 tokens, is only a tie."""
    rows = tuple(Row((1,), (5,) * size, (-0.5,) * size, 1.0) for size in (2, 4))
    before = [torch.full((size,), -0.75) for size in (2, 4)]
    updates = [
        Update(
            BatchResult(loss, 3.0, 1.5, ClipCounts(1, num_high), ratios, before),
            grad_norm=2 * loss,
            num_tokens=6,
        )
        for loss, num_high, ratios in (
            (1.0, 0, SamplerRatios(num=6, num_below=1, num_above=2, sum=9.0, min=0.5, max=4.0)),
            (2.0, 4, SamplerRatios(num=6, num_below=0, num_above=0, sum=3.0, min=0.25, max=2.0)),
        )
    ]
    minibatches = [
        Minibatch(rows, (), 4, num_completions=4, num_completion_tokens=8),
        Minibatch((), (), 2, num_completions=2, num_completion_tokens=2),
    ]
    return StepUpdates(updates, minibatches, 2, 1e-4, policy_logprobs=[before])


def test_learning_metrics_are_means_over_the_updates_and_their_tokens():
    assert learning_metrics(two_updates(), Algorithm()) == {
        "loss": 1.5,
        "grad_norm": 3.0,
        "learning_rate": 1e-4,
        "learnt/entropy": 6 / 12,
        "clip_ratio/low_mean": 2 / 20,
        "clip_ratio/high_mean": 4 / 20,
        "clip_ratio/region_mean": pytest.approx(6 / 20),
        "learnt/sampling_logp_difference/mean": 0.25,
        "learnt/sampling_logp_difference/max": 0.25,
    }


def test_a_sequences_ratios_are_counted_by_completion():
    metrics = learning_metrics(two_updates(), Algorithm(loss="gspo"))
    assert metrics["clip_ratio/high_mean"] == 4 / 12


def test_metrics_of_some_algorithms_are_reported_only_by_them():
    metrics = learning_metrics(
        two_updates(),
        Algorithm(
            loss="cispo", kl=Kl(beta=0.1), sampler_correction=SamplerCorrection(clip_min=0.5)
        ),
    )
    assert metrics["cispo_clip_ratio"] == 4 / 20
    assert "clip_ratio/low_mean" not in metrics
    assert metrics["learnt/kl"] == 3 / 12
    assert metrics["learnt/importance_sampling_ratio/min"] == 0.25
    assert metrics["learnt/importance_sampling_ratio/mean"] == 1
    assert metrics["learnt/importance_sampling_ratio/max"] == 4
    assert metrics["learnt/corrected_fraction"] == 3 / 12


def test_the_batch_reports_groups_left_out_discarded_and_grown(groups: list[Group]):
    batch = Batch(tuple(groups[:3]), (groups[3],), (), num_skipped=2, num_rollouts=12, num_tokens=0)
    assert batch_metrics(batch, Algorithm()) == {"groups/num_skipped": 2}
    resample = Algorithm(ties=Ties(policy="resample"))
    assert batch_metrics(batch, resample)["groups/num_discarded"] == 1
    assert batch_metrics(batch, Algorithm(ties=Ties(policy="grow")))["groups/mean_size"] == 2


def test_speeds_are_tokens_by_the_seconds_of_their_phase(groups: list[Group]):
    seconds = {"rollout": 2.0, "update": 1.0, "step": 4.0}
    metrics = speed_metrics(groups, two_updates(), seconds)
    assert metrics["rollout/tokens_per_second"] == 14
    assert metrics["train/tokens_per_second"] == 2 * (2 + 6)  # prompts of one token, two epochs
    assert metrics["step_time"] == 4
    assert all(table_name(name) for name in metrics)
