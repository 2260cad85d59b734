"""Forward and backward passes over rows, in micro-batches under a token budget."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
from torch import Tensor

from grpo.algorithm.kl import kl_estimates
from grpo.algorithm.loss import ClipCounts, count_clipped, policy_loss
from grpo.algorithm.sampler_correction import SamplerRatios, sampler_weights
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row
from grpo.models.policy import Policy
from grpo.models.token_batch import TokenBatch, micro_batches, token_batch
from grpo.spec.algorithm import Algorithm


@dataclass(frozen=True)
class Baselines:
    """Baseline logprobs of a minibatch, for its ratios and KL: one tensor [|o|] per row.

    Without `old_logprobs` the minibatch is on-policy: every ratio is 1.
    """

    old_logprobs: Sequence[Tensor] | None = None
    reference_logprobs: Sequence[Tensor] | None = None


@dataclass(frozen=True)
class BatchResult:
    """The results of a forward and backward pass over rows; the gradients are in the model."""

    loss: float
    entropy_sum: float  # over the rows' tokens
    kl_sum: float  # over the rows' tokens; 0 without a reference
    clipped: ClipCounts
    sampler_ratios: SamplerRatios  # empty without a correction
    policy_logprobs: list[Tensor]  # [|o|] per row

    def __add__(self, other: "BatchResult") -> "BatchResult":
        return BatchResult(
            loss=self.loss + other.loss,
            entropy_sum=self.entropy_sum + other.entropy_sum,
            kl_sum=self.kl_sum + other.kl_sum,
            clipped=self.clipped + other.clipped,
            sampler_ratios=self.sampler_ratios + other.sampler_ratios,
            policy_logprobs=[*self.policy_logprobs, *other.policy_logprobs],
        )


EMPTY_RESULT = BatchResult(0.0, 0.0, 0.0, ClipCounts(0, 0), SamplerRatios(), [])


def backward(
    policy: Policy,
    minibatch: Minibatch,
    baselines: Baselines,
    *,
    algorithm: Algorithm,
    temperature: float,
    budget: TokenBudget,
) -> BatchResult:
    """Add the minibatch's gradient to the model's; the split into micro-batches does not change it.

    The gradients must be clear at the start: if memory runs out they are cleared and recomputed.
    """

    def compute(token_budget: int) -> BatchResult:
        batches = list(_token_batches(minibatch.rows, policy.device, token_budget=token_budget))
        parts = [
            _backward_batch(
                policy,
                batch,
                rows=[minibatch.rows[row] for row in picked],
                baselines=_pick(baselines, picked),
                denominator=minibatch.denominator,
                algorithm=algorithm,
                temperature=temperature,
            )
            for picked, batch in batches
        ]
        whole = reduce(add, parts, EMPTY_RESULT)
        order = [row for picked, _ in batches for row in picked]
        return replace(whole, policy_logprobs=_in_order(order, whole.policy_logprobs))

    def compute_in_memory() -> BatchResult:
        longest_row = _longest(minibatch.rows)
        return budget.compute(compute, longest_row=longest_row, undo=policy.model.zero_grad)

    if policy.gradient_scale is not None:
        policy.gradient_scale.renew()
    result = compute_in_memory()
    while policy.gradient_scale is not None and policy.gradient_scale.lower():
        policy.model.zero_grad()
        result = compute_in_memory()
    return result


def row_logprobs(
    compute: Callable[[TokenBatch], Tensor],
    rows: Sequence[Row],
    *,
    device: torch.device,
    budget: TokenBudget,
) -> list[Tensor]:
    """Return `compute`'s logprobs of each row's completion, without a gradient: [|o|] per row."""

    def compute_all(token_budget: int) -> list[Tensor]:
        found: list[Tensor] = []
        order: list[int] = []
        with torch.no_grad():
            for picked, batch in _token_batches(rows, device, token_budget=token_budget):
                found += compute(batch).split(batch.lengths.tolist())
                order += picked
        return _in_order(order, found)

    return budget.compute(compute_all, longest_row=_longest(rows))


def _backward_batch(
    policy: Policy,
    batch: TokenBatch,
    *,
    rows: Sequence[Row],
    baselines: Baselines,
    denominator: float,
    algorithm: Algorithm,
    temperature: float,
) -> BatchResult:
    """Run `backward` over one micro-batch."""
    policy_logprobs, entropies = policy.logprobs(batch, temperature=temperature)  # [T], [T]
    detached = policy_logprobs.detach()
    old = detached if baselines.old_logprobs is None else torch.cat(list(baselines.old_logprobs))
    reference = None
    if baselines.reference_logprobs is not None:
        reference = torch.cat(list(baselines.reference_logprobs))
    advantages = torch.tensor([row.advantage for row in rows], device=policy.device)  # [R]
    weights, sampler_ratios = _correction(old, batch.lengths, rows, algorithm)
    loss = policy_loss(
        algorithm,
        policy_logprobs=policy_logprobs,
        old_logprobs=old,
        advantages=advantages,
        lengths=batch.lengths,
        denominator=denominator,
        reference_logprobs=reference,
        sampler_weights=weights,
    )
    loss.backward()
    return BatchResult(
        loss=loss.item(),
        entropy_sum=entropies.sum().item(),
        kl_sum=_kl_sum(detached, reference, algorithm),
        clipped=count_clipped(
            policy_logprobs=detached,
            old_logprobs=old,
            advantages=advantages,
            lengths=batch.lengths,
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            loss=algorithm.loss,
            level=algorithm.ratio_level,
        ),
        sampler_ratios=sampler_ratios,
        policy_logprobs=list(detached.split(batch.lengths.tolist())),
    )


def _correction(
    old_logprobs: Tensor, lengths: Tensor, rows: Sequence[Row], algorithm: Algorithm
) -> tuple[Tensor | None, SamplerRatios]:
    if algorithm.correction is None:
        return None, SamplerRatios()
    drawn = torch.tensor([logprob for row in rows for logprob in row.sampler_logprobs])  # [T]
    corrected = sampler_weights(
        policy_logprobs=old_logprobs,
        sampler_logprobs=drawn.to(old_logprobs.device),
        lengths=lengths,
        correction=algorithm.correction,
    )
    return corrected.weights, corrected.ratios


def _kl_sum(policy_logprobs: Tensor, reference: Tensor | None, algorithm: Algorithm) -> float:
    if reference is None:
        return 0.0
    estimator = algorithm.kl.estimator
    return kl_estimates(policy_logprobs, reference, estimator=estimator).sum().item()


def _token_batches(
    rows: Sequence[Row], device: torch.device, *, token_budget: int
) -> Iterator[tuple[list[int], TokenBatch]]:
    """Yield the indices of the rows computed together, and their tokens."""
    for picked in micro_batches([row.num_tokens for row in rows], token_budget=token_budget):
        ids = [(rows[row].prompt_ids, rows[row].completion_ids) for row in picked]
        yield picked, token_batch(ids, device=device)


def _pick(baselines: Baselines, picked: Sequence[int]) -> Baselines:
    old, reference = baselines.old_logprobs, baselines.reference_logprobs
    return Baselines(
        None if old is None else [old[row] for row in picked],
        None if reference is None else [reference[row] for row in picked],
    )


def _longest(rows: Sequence[Row]) -> int:
    return max((row.num_tokens for row in rows), default=0)


def _in_order(rows: Sequence[int], logprobs: Sequence[Tensor]) -> list[Tensor]:
    """Return `logprobs` of the given rows, sorted by row."""
    by_row = dict(zip(rows, logprobs, strict=True))
    return [by_row[row] for row in range(len(rows))]
