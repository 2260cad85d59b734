"""One update: loss and backward over micro-batches, then clipping and the optimizer."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo.batching import TokenBatch, micro_batches, token_batch
from grpo.errors import RunError
from grpo.groups import Group
from grpo.loss import ClipCounts, count_clipped, grpo_loss
from grpo.optimizer import trained_parameters
from grpo.policy import Policy
from grpo.spec.algorithm import Algorithm

# Tokens computed together, padding included.  On two cores more gains nothing; a GPU wants more.
TOKEN_BUDGET = {"cpu": 3072, "cuda": 16384}


@dataclass(frozen=True)
class Row:
    """One completion that carries a gradient."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    advantage: float

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True)
class Minibatch:
    """The completions of one update.  Those of ties are not in `rows`, only in the two counts."""

    rows: tuple[Row, ...]
    denominator: int  # completions the loss is averaged over
    num_completion_tokens: int  # of all of them


@dataclass(frozen=True)
class Update:
    """What one update saw.  `policy_logprobs`: one tensor [|o|] a row, from before it."""

    loss: float
    grad_norm: float
    entropy_sum: float  # over `num_live_tokens` completion tokens
    num_live_tokens: int
    clipped: ClipCounts
    policy_logprobs: list[Tensor]


def make_minibatch(groups: Sequence[Group], algorithm: Algorithm) -> Minibatch:
    rows = tuple(
        Row(
            rollout.prompt.token_ids,
            rollout.completion.token_ids,
            rollout.completion.sampler_logprobs,
            advantage,
        )
        for group in groups
        if not group.tied
        for rollout, advantage in zip(group.rollouts, group.advantages, strict=True)
    )
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return Minibatch(
        rows=rows,
        denominator=len(rollouts) if algorithm.denominator == "all" else len(rows),
        num_completion_tokens=sum(len(rollout.completion.token_ids) for rollout in rollouts),
    )


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    minibatch: Minibatch,
    *,
    old_logprobs: Sequence[Tensor] | None,
    algorithm: Algorithm,
    max_grad_norm: float,
    temperature: float,
) -> Update:
    """Move the policy by one minibatch.  Without `old_logprobs` it is on-policy: every ratio is 1.

    Raises:
        RunError: `nan_loss`, before the weights are touched.
    """
    seen = backward(
        policy,
        minibatch,
        old_logprobs=old_logprobs,
        algorithm=algorithm,
        temperature=temperature,
        token_budget=TOKEN_BUDGET[policy.device.type],
    )
    weights = trained_parameters(policy.model).values()
    grad_norm = torch.nn.utils.clip_grad_norm_(weights, max_grad_norm).item()
    if not (math.isfinite(seen.loss) and math.isfinite(grad_norm)):
        raise RunError(
            "nan_loss",
            f"the loss is {seen.loss} and the gradient's norm {grad_norm}",
            hint="Lower optimizer.learning_rate or lengthen optimizer.warmup_steps; in bfloat16, "
            "try model.dtype float32.",
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return Update(
        loss=seen.loss,
        grad_norm=grad_norm,
        entropy_sum=seen.entropy_sum,
        num_live_tokens=sum(len(logprobs) for logprobs in seen.policy_logprobs),
        clipped=seen.clipped,
        policy_logprobs=seen.policy_logprobs,
    )


@dataclass(frozen=True)
class Backward:
    """What a forward and backward pass over a minibatch saw; the gradients are in the model."""

    loss: float
    entropy_sum: float
    clipped: ClipCounts
    policy_logprobs: list[Tensor]


def backward(
    policy: Policy,
    minibatch: Minibatch,
    *,
    old_logprobs: Sequence[Tensor] | None,
    algorithm: Algorithm,
    temperature: float,
    token_budget: int,
) -> Backward:
    """Add the minibatch's gradient to the model's, whatever micro-batches it is split into."""
    seen: list[Backward] = []
    order: list[int] = []
    for picked, batch in _token_batches(policy, minibatch.rows, token_budget=token_budget):
        old = [old_logprobs[row] for row in picked] if old_logprobs is not None else None
        advantages = [minibatch.rows[row].advantage for row in picked]
        seen.append(
            _backward_batch(
                policy,
                batch,
                old_logprobs=old,
                advantages=torch.tensor(advantages, device=policy.device),
                denominator=minibatch.denominator,
                algorithm=algorithm,
                temperature=temperature,
            )
        )
        order += picked
    logprobs = [of_row for of_batch in seen for of_row in of_batch.policy_logprobs]
    return Backward(
        loss=sum(of_batch.loss for of_batch in seen),
        entropy_sum=sum(of_batch.entropy_sum for of_batch in seen),
        clipped=ClipCounts(
            sum(of_batch.clipped.num_low for of_batch in seen),
            sum(of_batch.clipped.num_high for of_batch in seen),
        ),
        policy_logprobs=_in_order(order, logprobs),
    )


def _backward_batch(
    policy: Policy,
    batch: TokenBatch,
    *,
    old_logprobs: Sequence[Tensor] | None,
    advantages: Tensor,
    denominator: int,
    algorithm: Algorithm,
    temperature: float,
) -> Backward:
    """`backward` over one micro-batch.  advantages: [R]"""
    policy_logprobs, entropies = policy.logprobs(batch, temperature=temperature)  # [T], [T]
    seen = policy_logprobs.detach()
    loss_settings = {
        "old_logprobs": seen if old_logprobs is None else torch.cat(list(old_logprobs)),
        "advantages": advantages,
        "lengths": batch.lengths,
        "clip_low": algorithm.clip_low,
        "clip_high": algorithm.clip_high,
    }
    loss = grpo_loss(policy_logprobs=policy_logprobs, denominator=denominator, **loss_settings)
    loss.backward()
    return Backward(
        loss=loss.item(),
        entropy_sum=entropies.sum().item(),
        clipped=count_clipped(policy_logprobs=seen, **loss_settings),
        policy_logprobs=list(seen.split(batch.lengths.tolist())),
    )


def policy_logprobs(policy: Policy, rows: Sequence[Row], *, temperature: float) -> list[Tensor]:
    """The policy's log-probabilities of each row's completion, without a gradient: [|o|] a row."""
    order: list[int] = []
    found: list[Tensor] = []
    with torch.no_grad():
        for picked, batch in _token_batches(
            policy, rows, token_budget=TOKEN_BUDGET[policy.device.type]
        ):
            logprobs, _ = policy.logprobs(batch, temperature=temperature)
            found += logprobs.split(batch.lengths.tolist())
            order += picked
    return _in_order(order, found)


def _token_batches(
    policy: Policy, rows: Sequence[Row], *, token_budget: int
) -> Iterator[tuple[list[int], TokenBatch]]:
    """The indices of the rows computed together, and their tokens."""
    for picked in micro_batches([row.num_tokens for row in rows], token_budget=token_budget):
        ids = [(rows[row].prompt_ids, rows[row].completion_ids) for row in picked]
        yield picked, token_batch(ids, device=policy.device)


def _in_order(rows: Sequence[int], logprobs: Sequence[Tensor]) -> list[Tensor]:
    """`logprobs` of the given rows, sorted by row."""
    by_row = dict(zip(rows, logprobs, strict=True))
    return [by_row[row] for row in range(len(rows))]
