"""Advantages, losses, gradients and clip fractions against TRL's own code, called as it is.

Ours go the whole way of a run: groups compared, ties left out, minibatches, micro-batches.
"""

from dataclasses import dataclass
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from grpo.data.prompts import Prompt
from grpo.learning.forward_backward import Baselines, BatchResult, backward
from grpo.learning.learner import StepUpdates
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, make_minibatches
from grpo.learning.update import Update
from grpo.models.policy import Policy
from grpo.models.token_batch import TokenBatch
from grpo.reporting.step_metrics import learning_metrics
from grpo.rollout.engines.engine import Completion
from grpo.rollout.groups import Rollout, Siblings, compare
from grpo.rollout.scorer import Score
from grpo.spec.algorithm import Advantage, Algorithm, Kl, LossName, SamplerCorrection, Ties
from tests.parity.trl_trainer import MAX_TOKENS, Batch, Trl, TrlUpdate, random_batch

pytestmark = pytest.mark.filterwarnings("ignore")

TRLS = Advantage(std_ddof=1, eps=1e-4)
LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "gspo", "cispo")
CLIP_METRICS = (
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "cispo_clip_ratio",
)
PROMPT = Prompt(index=0, row=0, text="", token_ids=(0,), answer="", source="", fields={})


@pytest.fixture(scope="module")
def trl(tmp_path_factory: pytest.TempPathFactory) -> Trl:
    return Trl(tmp_path_factory.mktemp("trl"))


class LogprobTable:
    """A policy whose parameters are the log-probabilities, one per token id."""

    def __init__(self, logprobs: Tensor) -> None:
        self.model = nn.ParameterList([logprobs.clone()])
        self.device = logprobs.device
        self.gradient_scale = None

    def logprobs(self, batch: TokenBatch, *, temperature: float) -> tuple[Tensor, Tensor]:
        of_tokens = self.model[0][batch.targets] / temperature
        return of_tokens, torch.zeros_like(of_tokens)


@dataclass(frozen=True)
class OurUpdate:
    result: BatchResult
    minibatch: Minibatch
    gradient: Tensor  # with respect to the policy's logprobs: [all of the batch's tokens]


def our_updates(batch: Batch, algorithm: Algorithm) -> list[OurUpdate]:
    groups = compare(siblings(batch), advantage=algorithm.advantage)
    return [
        _our_update(batch, minibatch, algorithm)
        for minibatch in make_minibatches(groups, algorithm, max_tokens=MAX_TOKENS)
    ]


def siblings(batch: Batch) -> list[Siblings]:
    """Number the tokens of a batch consecutively."""
    rollouts = [
        Rollout(
            prompt=PROMPT,
            sibling=row % batch.group_size,
            completion=Completion(
                token_ids=tuple(ids.tolist()),
                sampler_logprobs=tuple(batch.sampler_logprobs[ids].tolist()),
                finish_reason="length" if batch.truncated[row] else "stop",
            ),
            text="",
            score=Score(batch.rewards[row].item(), {}),
            right=False,
        )
        for row, ids in enumerate(batch.rows(torch.arange(len(batch.policy_logprobs))))
    ]
    size = batch.group_size
    return [rollouts[start : start + size] for start in range(0, len(rollouts), size)]


def _our_update(batch: Batch, minibatch: Minibatch, algorithm: Algorithm) -> OurUpdate:
    def of_rows(logprobs: Tensor) -> list[Tensor]:
        return [logprobs[list(row.completion_ids)] for row in minibatch.rows]

    on_policy = algorithm.minibatches == algorithm.epochs_per_batch == 1
    drawn_anew = on_policy and algorithm.correction is None
    table = LogprobTable(batch.policy_logprobs)
    result = backward(
        cast(Policy, table),
        minibatch,
        Baselines(
            None if drawn_anew else of_rows(batch.old_logprobs),
            of_rows(batch.reference_logprobs) if algorithm.kl.beta else None,
        ),
        algorithm=algorithm,
        temperature=1.0,
        budget=TokenBudget(12),
    )
    gradient = table.model[0].grad
    assert gradient is not None
    return OurUpdate(result, minibatch, gradient)


def parity(trl: Trl, algorithm: Algorithm, *, seed: int) -> list[tuple[OurUpdate, TrlUpdate]]:
    """Assert that every update's loss, gradient, advantages and clip fractions are TRL's."""
    batch = random_batch(seed, group_size=algorithm.group_size)
    ours, theirs = our_updates(batch, algorithm), list(trl.updates(batch, algorithm))
    groups = compare(siblings(batch), advantage=algorithm.advantage)
    assert [of_row for group in groups for of_row in group.advantages] == pytest.approx(
        torch.cat([their.advantages for their in theirs]).tolist(), rel=1e-6, abs=1e-6
    )
    for our, their in zip(ours, theirs, strict=True):
        assert our.result.loss == pytest.approx(their.loss, rel=1e-6, abs=1e-6)
        assert clip_fractions(our, algorithm) == pytest.approx(
            {name: value for name, value in their.metrics.items() if name in CLIP_METRICS}
        )
    torch.testing.assert_close(
        torch.stack([our.gradient for our in ours]).sum(dim=0),
        torch.cat([their.gradient for their in theirs]),
        rtol=1e-6,
        atol=1e-6,
    )
    return list(zip(ours, theirs, strict=True))


def clip_fractions(our: OurUpdate, algorithm: Algorithm) -> dict[str, float]:
    """The fractions that a run reports for a step of this one minibatch."""
    result = our.result
    updates = [Update(result, grad_norm=1.0, num_tokens=sum(map(len, result.policy_logprobs)))]
    step_updates = StepUpdates(updates, [our.minibatch], 0, 1e-6, [result.policy_logprobs])
    reported = learning_metrics(step_updates, algorithm)
    return {name: value for name, value in reported.items() if name in CLIP_METRICS}


def off_policy(loss: LossName, **settings: Any) -> Algorithm:
    """Old and policy logprobs differ from the second pass over a batch on.

    Ties are left out, which TRL computes; but not where a KL term gives them a gradient.
    """
    defaults = {
        "loss": loss,
        "epochs_per_batch": 2,
        "advantage": TRLS,
        "clip_high": 1.5 if loss == "cispo" else 0.28,
        "ties": Ties(policy="keep" if "kl" in settings else "drop"),
    }
    return Algorithm(**{**defaults, **settings})


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("group_size", [2, 5])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_trls(trl: Trl, loss: LossName, group_size: int, seed: int):
    [(ours, _)] = parity(trl, off_policy(loss, group_size=group_size), seed=seed)
    assert abs(ours.result.loss) > 1e-3
    assert ours.gradient.abs().max() > 1e-3


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo"])
def test_the_sequences_ratio_is_trls_with_every_loss(trl: Trl, loss: LossName):
    parity(trl, off_policy(loss, ratio="sequence"), seed=0)


def test_the_batches_meet_both_sides_of_the_clip(trl: Trl):
    clipped = [
        update.result.clipped
        for seed in range(5)
        for update, _ in parity(trl, off_policy("grpo"), seed=seed)
    ]
    assert sum(of_seed.num_low for of_seed in clipped) > 5
    assert sum(of_seed.num_high for of_seed in clipped) > 5


@pytest.mark.parametrize("loss", LOSSES)
def test_on_policy_too(trl: Trl, loss: LossName):
    parity(trl, off_policy(loss, epochs_per_batch=1), seed=1)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_of_a_steps_minibatches_has_trls_loss(trl: Trl, loss: LossName):
    assert len(parity(trl, off_policy(loss, minibatches=2), seed=2)) == 2


@pytest.mark.parametrize("loss", ["grpo", "bnpo", "dr_grpo", "dapo", "gspo"])
def test_the_two_sided_clip_is_trls(trl: Trl, loss: LossName):
    narrow = parity(trl, off_policy(loss, delta=1.29), seed=3)
    wide = parity(trl, off_policy(loss), seed=3)
    assert narrow[0][0].result.loss != pytest.approx(wide[0][0].result.loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_kl_term_is_trls(trl: Trl, loss: LossName):
    [(ours, theirs)] = parity(trl, off_policy(loss, kl=Kl(beta=0.3)), seed=4)
    mean = ours.result.kl_sum / ours.minibatch.num_completion_tokens
    assert mean == pytest.approx(theirs.metrics["kl"])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("mode", ["truncate", "mask"])
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("clip_min", [None, 0.5])
def test_the_samplers_correction_is_trls_in_every_mode(
    trl: Trl, loss: LossName, level: Any, mode: Any, clip_min: float | None
):
    correction = SamplerCorrection(level=level, mode=mode, clip_min=clip_min, clip_max=1.5)
    corrected = parity(
        trl, off_policy(loss, sampler_correction=correction, kl=Kl(beta=0.1)), seed=5
    )
    plain = parity(trl, off_policy(loss, kl=Kl(beta=0.1)), seed=5)
    assert corrected[0][0].result.loss != pytest.approx(plain[0][0].result.loss)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", LOSSES)
def test_masked_completions_are_left_out_as_trl_leaves_them_out(
    trl: Trl, loss: LossName, seed: int
):
    masked = off_policy(
        loss,
        truncated="mask",
        minibatches=2,
        kl=Kl(beta=0.1),
        sampler_correction=SamplerCorrection(level="sequence", clip_max=1.5),
    )
    updates = [ours for ours, _ in parity(trl, masked, seed=seed)]
    learnt_from = sum(len(ours.minibatch.rows) for ours in updates)
    assert learnt_from < sum(ours.minibatch.num_completions for ours in updates)
    if loss in ("grpo", "bnpo", "dr_grpo", "dapo"):
        assert (
            sum(ours.result.clipped.num_low + ours.result.clipped.num_high for ours in updates) > 0
        )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("group_size", [2, 5])
def test_advantages_are_trls_at_every_scale(trl: Trl, scale: Any, group_size: int, seed: int):
    settings = Advantage(scale=scale, std_ddof=1, eps=1e-4)
    parity(trl, off_policy("grpo", advantage=settings, group_size=group_size), seed=seed)
