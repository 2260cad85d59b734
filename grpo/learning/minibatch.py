"""Minibatches: the rows of one update, from a share of the step's groups."""

from collections.abc import Sequence
from dataclasses import dataclass

from grpo.algorithm.loss_table import LOSSES, Counts
from grpo.models.token_batch import split_evenly
from grpo.rollout.groups import Group, Rollout
from grpo.spec.algorithm import Algorithm


@dataclass(frozen=True)
class Row:
    """One completion to train on."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    advantage: float

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass(frozen=True)
class Minibatch:
    """The completions of one update.  Ties may be absent from `rows` and still count.

    `rollouts` correspond to the rows, one per row.
    """

    rows: tuple[Row, ...]
    rollouts: tuple[Rollout, ...]
    denominator: float  # of the loss's sum over tokens: see grpo.algorithm.loss_table
    num_completions: int  # ties and masked ones included
    num_completion_tokens: int  # ties included, without those of masked completions


def make_minibatches(
    groups: Sequence[Group], algorithm: Algorithm, *, max_tokens: int
) -> list[Minibatch]:
    """Split a step's groups into `algorithm.minibatches` consecutive parts, before ties are left
    out.  `max_tokens` is the maximum length of a completion.
    """
    parts = split_evenly(groups, algorithm.minibatches)
    num_step_tokens = sum(_num_tokens(_averaged(part, algorithm), algorithm) for part in parts)
    return [
        _minibatch(
            part,
            algorithm,
            denominator=LOSSES[algorithm.loss].denominator(
                _counts(
                    _averaged(part, algorithm),
                    algorithm,
                    max_tokens=max_tokens,
                    step_tokens=num_step_tokens / algorithm.minibatches,
                )
            ),
        )
        for part in parts
    ]


def _minibatch(groups: Sequence[Group], algorithm: Algorithm, *, denominator: float) -> Minibatch:
    learnt = [
        (rollout, advantage)
        for group in groups
        if group.has_gradient or algorithm.ties.policy == "keep"
        for rollout, advantage in zip(group.rollouts, group.advantages, strict=True)
        if _is_learnt(rollout, algorithm)
    ]
    return Minibatch(
        rows=tuple(
            Row(
                rollout.prompt.token_ids,
                rollout.completion.token_ids,
                rollout.completion.sampler_logprobs,
                advantage,
            )
            for rollout, advantage in learnt
        ),
        rollouts=tuple(rollout for rollout, _ in learnt),
        denominator=denominator,
        num_completions=sum(len(group.rollouts) for group in groups),
        num_completion_tokens=_num_tokens(
            [rollout for group in groups for rollout in group.rollouts], algorithm
        ),
    )


def _counts(
    averaged: Sequence[Rollout], algorithm: Algorithm, *, max_tokens: int, step_tokens: float
) -> Counts:
    return Counts(len(averaged), _num_tokens(averaged, algorithm), step_tokens, max_tokens)


def _averaged(groups: Sequence[Group], algorithm: Algorithm) -> list[Rollout]:
    """Return the rollouts that the loss is averaged over."""
    return [
        rollout
        for group in groups
        if algorithm.denominator == "all" or group.has_gradient
        for rollout in group.rollouts
    ]


def _num_tokens(rollouts: Sequence[Rollout], algorithm: Algorithm) -> int:
    return sum(
        len(rollout.completion.token_ids) for rollout in rollouts if _is_learnt(rollout, algorithm)
    )


def _is_learnt(rollout: Rollout, algorithm: Algorithm) -> bool:
    """Whether a rollout is trained on; an empty completion has no tokens to train on."""
    masked = algorithm.truncated == "mask" and rollout.truncated
    return not masked and len(rollout.completion.token_ids) > 0
