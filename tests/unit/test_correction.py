"""Importance weights for an engine that rounds differently, by values worked by hand."""

import math
from typing import Any, Literal

import pytest
import torch

from grpo.algorithm.sampler_correction import CorrectionWeights, SamplerRatios, sampler_weights
from grpo.spec.algorithm import RatioLevel, SamplerCorrection

ROWS = [[4.0, 0.5], [0.1], [2.0, 1.5, 1.0]]  # ratios; their products: 2, 0.1, 3


def weigh(rows: list[list[float]] = ROWS, **correction: Any) -> CorrectionWeights:
    ratios = torch.tensor([ratio for row in rows for ratio in row]).double()
    return sampler_weights(
        policy_logprobs=ratios.log() - 1,
        sampler_logprobs=torch.full_like(ratios, -1),
        lengths=torch.tensor([len(row) for row in rows]),
        correction=SamplerCorrection(**correction),
    )


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ({"mode": "truncate", "clip_max": 1.8}, [1.8, 0.5, 0.1, 1.8, 1.5, 1]),
        ({"mode": "truncate", "clip_min": 0.4, "clip_max": 1.8}, [1.8, 0.5, 0.4, 1.8, 1.5, 1]),
        ({"mode": "mask", "clip_max": 1.8}, [0, 0.5, 0.1, 0, 1.5, 1]),
        ({"mode": "mask", "clip_min": 0.4, "clip_max": 1.8}, [0, 0.5, 0, 0, 1.5, 1]),
    ],
)
def test_a_tokens_weight_is_its_ratio_within_the_bounds_or_nothing(
    correction: dict[str, Any], expected: list[float]
):
    assert weigh(level="token", **correction).weights.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ({"mode": "truncate", "clip_max": 2.5}, [2, 2, 0.1, 2.5, 2.5, 2.5]),
        ({"mode": "truncate", "clip_min": 0.4, "clip_max": 2.5}, [2, 2, 0.4, 2.5, 2.5, 2.5]),
        ({"mode": "mask", "clip_max": 2.5}, [2, 2, 0.1, 0, 0, 0]),
        ({"mode": "mask", "clip_min": 0.4, "clip_max": 2.5}, [2, 2, 0, 0, 0, 0]),
    ],
)
def test_a_completions_weight_is_the_product_of_its_tokens_ratios(
    correction: dict[str, Any], expected: list[float]
):
    assert weigh(level="sequence", **correction).weights.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["truncate", "mask"])
def test_the_reported_ratios_are_those_before_any_change(mode: str):
    ratios = weigh(level="token", mode=mode, clip_min=0.4, clip_max=1.8).ratios
    assert (ratios.num, ratios.num_below, ratios.num_above) == (6, 1, 2)
    assert (ratios.sum, ratios.min, ratios.max) == pytest.approx((9.1, 0.1, 4.0))


def test_with_a_weight_a_completion_the_completions_are_reported():
    ratios = weigh(level="sequence", mode="mask", clip_max=2.5).ratios
    assert (ratios.num, ratios.num_below, ratios.num_above) == (3, 0, 1)
    assert (ratios.sum, ratios.min, ratios.max) == pytest.approx((5.1, 0.1, 3.0))


def test_ratios_of_batches_add_up_to_those_of_all():
    parts = [weigh([row], level="token").ratios for row in ROWS]
    total = sum(parts, start=SamplerRatios())
    whole = weigh(level="token").ratios
    assert (total.num, total.num_above) == (whole.num, whole.num_above) == (6, 1)
    assert (total.sum, total.min, total.max) == pytest.approx((whole.sum, whole.min, whole.max))


def test_weights_carry_no_gradient():
    policy = torch.tensor([-1.0], requires_grad=True)
    found = sampler_weights(
        policy_logprobs=policy,
        sampler_logprobs=torch.tensor([-2.0]),
        lengths=torch.tensor([1]),
        correction=SamplerCorrection(),
    )
    assert not found.weights.requires_grad


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize(("mode", "expected"), [("truncate", 3.0), ("mask", 0.0)])
def test_an_engine_far_off_gives_finite_weights_and_ratios(
    level: RatioLevel, mode: Literal["truncate", "mask"], expected: float
):
    found = sampler_weights(
        policy_logprobs=torch.tensor([-0.1, -0.1]),
        sampler_logprobs=torch.tensor([-900.0, -900.0]),
        lengths=torch.tensor([2]),
        correction=SamplerCorrection(level=level, mode=mode),
    )
    assert found.weights.tolist() == [expected] * 2
    assert found.ratios.max == pytest.approx(math.exp(20))


def test_a_batch_of_masked_completions_only_has_no_weights_and_adds_nothing():
    found = weigh([[]], level="token")
    assert found.weights.tolist() == []
    assert found.ratios + weigh(level="token").ratios == weigh(level="token").ratios
