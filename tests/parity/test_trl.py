"""Advantages, losses, gradients and clip fractions against TRL's own code, called as it is."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo.advantage import advantages
from grpo.batching import split_evenly
from grpo.correction import sampler_weights
from grpo.kl import kl_estimates
from grpo.loss import ClipCounts, count_clipped, policy_loss
from grpo.spec.algorithm import Advantage, Algorithm, Kl, SamplerCorrection
from tests.parity.trl_trainer import MAX_TOKENS, Batch, Trl, TrlUpdate, random_batch

pytestmark = pytest.mark.filterwarnings("ignore")

TRLS = Advantage(std_ddof=1, eps=1e-4)
LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "gspo", "cispo")


@pytest.fixture(scope="module")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Trl:
    return Trl(tmp_path_factory.mktemp("trl"))


@dataclass(frozen=True)
class OurUpdate:
    loss: float
    gradient: Tensor  # [T]
    advantages: Tensor  # [R]
    clipped: ClipCounts
    num_tokens: int  # that are learnt from
    kl: float


def our_updates(batch: Batch, algorithm: Algorithm) -> list[OurUpdate]:
    """The batch's rows in `algorithm.minibatches` parts, each by our own functions."""
    found = advantages(
        batch.rewards,
        torch.full((len(batch.rewards) // batch.group_size,), batch.group_size),
        **algorithm.advantage.model_dump(),
    )
    learnt = ~batch.truncated if algorithm.truncated == "mask" else torch.ones_like(batch.truncated)
    parts = split_evenly(list(range(len(batch.rewards))), algorithm.minibatches)
    step_tokens = int(batch.lengths[learnt].sum())
    return [
        _our_update(
            batch, algorithm, rows, learnt=learnt, advantages_of_all=found, step_tokens=step_tokens
        )
        for rows in parts
    ]


def _our_update(
    batch: Batch,
    algorithm: Algorithm,
    rows: Any,
    *,
    learnt: Tensor,
    advantages_of_all: Tensor,
    step_tokens: int,
) -> OurUpdate:
    in_part = torch.zeros_like(learnt).index_fill(0, torch.tensor(rows), value=True)
    of_part = in_part.repeat_interleave(batch.lengths)  # bool [all tokens]
    live = (in_part & learnt).repeat_interleave(batch.lengths)
    policy = batch.policy_logprobs.clone().requires_grad_()
    lengths = batch.lengths[in_part & learnt]
    on_policy = algorithm.minibatches == algorithm.epochs_per_batch == 1
    old = batch.old_logprobs
    if on_policy and algorithm.sampler_correction is None:
        old = batch.policy_logprobs
    weights = None
    if algorithm.sampler_correction is not None:
        weights = sampler_weights(
            policy_logprobs=batch.old_logprobs[live],
            sampler_logprobs=batch.sampler_logprobs[live],
            lengths=lengths,
            correction=algorithm.sampler_correction,
        ).weights
    shared = {
        "old_logprobs": old[live],
        "advantages": advantages_of_all[in_part & learnt],
        "lengths": lengths,
    }
    loss = policy_loss(
        algorithm,
        policy_logprobs=policy[live],
        denominator={
            "grpo": len(rows),
            "gspo": len(rows),
            "bnpo": len(policy[live]),
            "dapo": step_tokens / algorithm.minibatches,
            "cispo": step_tokens / algorithm.minibatches,
            "dr_grpo": len(rows) * MAX_TOKENS,
        }[algorithm.loss],
        reference_logprobs=batch.reference_logprobs[live],
        sampler_weights=weights,
        **shared,
    )
    loss.backward()
    assert policy.grad is not None
    kl = kl_estimates(policy[live], batch.reference_logprobs[live], estimator="k3")
    return OurUpdate(
        loss=loss.item(),
        gradient=policy.grad[of_part],
        advantages=advantages_of_all[in_part],
        clipped=count_clipped(
            policy_logprobs=policy.detach()[live],
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            loss=algorithm.loss,
            level=algorithm.ratio_level,
            **shared,
        ),
        num_tokens=len(kl),
        kl=kl.mean().item(),
    )


def compare(trl: Trl, algorithm: Algorithm, *, seed: int) -> list[tuple[OurUpdate, TrlUpdate]]:
    """Assert that every update's loss, gradient, advantages and clip fractions are TRL's."""
    batch = random_batch(seed, group_size=algorithm.group_size)
    pairs = list(zip(our_updates(batch, algorithm), trl.updates(batch, algorithm), strict=True))
    for ours, theirs in pairs:
        torch.testing.assert_close(
            ours.advantages, theirs.advantages.double(), rtol=1e-6, atol=1e-6
        )
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-6, abs=1e-6)
        torch.testing.assert_close(ours.gradient, theirs.gradient, rtol=1e-6, atol=1e-6)
        sequences = algorithm.ratio_level == "sequence"
        num_ratios = len(ours.advantages) if sequences else ours.num_tokens
        assert _fractions(ours.clipped, num_ratios, algorithm) == pytest.approx(
            {name: value for name, value in theirs.metrics.items() if name in CLIP_METRICS}
        )
    return pairs


CLIP_METRICS = (
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "cispo_clip_ratio",
)


def _fractions(clipped: ClipCounts, num_ratios: int, algorithm: Algorithm) -> dict[str, float]:
    if algorithm.loss == "cispo":
        assert clipped.num_low == 0
        return {"cispo_clip_ratio": clipped.num_high / num_ratios}
    return {
        "clip_ratio/low_mean": clipped.num_low / num_ratios,
        "clip_ratio/high_mean": clipped.num_high / num_ratios,
        "clip_ratio/region_mean": (clipped.num_low + clipped.num_high) / num_ratios,
    }


def off_policy(loss: str, **settings: Any) -> Algorithm:
    """Old and policy logprobs differ from the second pass over a batch on."""
    bounds: dict[str, Any] = {"clip_high": 1.5} if loss == "cispo" else {}
    return Algorithm(
        **{
            "loss": loss,
            "epochs_per_batch": 2,
            "advantage": TRLS,
            **bounds,
            **settings,
        }
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("group_size", [2, 5])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_trls(trl: Trl, loss: str, group_size: int, seed: int):
    [(ours, _)] = compare(trl, off_policy(loss, group_size=group_size), seed=seed)
    assert abs(ours.loss) > 1e-3
    assert ours.gradient.abs().max() > 1e-3


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo"])
def test_the_sequences_ratio_is_trls_with_every_loss(trl: Trl, loss: str):
    compare(trl, off_policy(loss, ratio="sequence"), seed=0)


def test_the_batches_meet_both_sides_of_the_clip(trl: Trl):
    clipped = [
        update.clipped
        for seed in range(5)
        for update, _ in compare(trl, off_policy("grpo"), seed=seed)
    ]
    assert sum(of_seed.num_low for of_seed in clipped) > 5
    assert sum(of_seed.num_high for of_seed in clipped) > 5


@pytest.mark.parametrize("loss", LOSSES)
def test_on_policy_too(trl: Trl, loss: str):
    compare(trl, off_policy(loss, epochs_per_batch=1), seed=1)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_of_a_steps_minibatches_has_trls_loss(trl: Trl, loss: str):
    assert len(compare(trl, off_policy(loss, minibatches=2), seed=2)) == 2


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "gspo"])
def test_the_two_sided_clip_is_trls(trl: Trl, loss: str):
    narrow = compare(trl, off_policy(loss, delta=1.29), seed=3)
    wide = compare(trl, off_policy(loss), seed=3)
    assert narrow[0][0].loss != pytest.approx(wide[0][0].loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_kl_term_is_trls(trl: Trl, loss: str):
    [(ours, theirs)] = compare(trl, off_policy(loss, kl=Kl(beta=0.3)), seed=4)
    assert ours.kl == pytest.approx(theirs.metrics["kl"])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("mode", ["truncate", "mask"])
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("clip_min", [None, 0.5])
def test_the_samplers_correction_is_trls_in_every_mode(
    trl: Trl, loss: str, level: Any, mode: Any, clip_min: float | None
):
    correction = SamplerCorrection(level=level, mode=mode, clip_min=clip_min, clip_max=1.5)
    corrected = compare(
        trl, off_policy(loss, sampler_correction=correction, kl=Kl(beta=0.1)), seed=5
    )
    plain = compare(trl, off_policy(loss, kl=Kl(beta=0.1)), seed=5)
    assert corrected[0][0].loss != pytest.approx(plain[0][0].loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_masked_completions_are_left_out_as_trl_leaves_them_out(trl: Trl, loss: str):
    correction = SamplerCorrection(level="sequence", clip_max=1.5)
    compare(
        trl,
        off_policy(
            loss,
            truncated="mask",
            minibatches=2,
            kl=Kl(beta=0.1),
            sampler_correction=correction,
        ),
        seed=6,
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("group_size", [2, 5])
def test_advantages_are_trls_at_every_scale(trl: Trl, scale: Any, group_size: int, seed: int):
    settings = Advantage(scale=scale, std_ddof=1, eps=1e-4)
    compare(trl, off_policy("grpo", advantage=settings, group_size=group_size), seed=seed)
