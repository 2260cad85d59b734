"""Group-relative advantages.

N completions in P groups are concatenated; `sizes` [P] is the size of each group, at least one.
"""

from typing import Literal

import torch
from torch import Tensor

# A reward is a sum of weighted parts: summing in another order changes it by a relative 1e-16.
ROUNDING = 1e-9


def advantages(
    rewards: Tensor,
    sizes: Tensor,
    *,
    scale: Literal["group", "batch", "none"],
    std_ddof: int,
    eps: float,
    tie_margin: float,
    penalties: Tensor | None = None,
) -> Tensor:
    """Return A_i = (r_i - mean(r)) / (std(r) + eps) over each group (arXiv 2402.03300, eq. 3).

    With scale "batch" the std is over all N rewards, the mean still over the group; with "none" the
    advantage is the centered reward.  A tie's advantages are 0 by definition, never 0/0.  With
    std_ddof 0 and eps 0 a mixed pair has +1 and -1 (arXiv 2510.00977, eq. 14).

    With `penalties`, a completion's r_i is its reward plus its penalty, but ties are determined by
    the rewards alone: otherwise scale "group" would turn the smallest penalty into a full contrast.
    As penalties tend to 0, the advantages tend to those without penalties.

    rewards, penalties: float64 [N]; sizes: int [P] -> float64 [N]
    """
    ties = tied(rewards, sizes, tie_margin=tie_margin)  # [P]
    if penalties is not None:
        rewards = rewards + penalties
        ties = ties | tied(rewards, sizes, tie_margin=0.0)  # a penalty can undo a contrast
    means = _over_groups("sum", rewards, sizes) / sizes  # [P]
    centred = rewards - means.repeat_interleave(sizes)  # [N]
    if scale == "group":
        squares = _over_groups("sum", centred.square(), sizes)  # [P]
        stds = (squares / (sizes - std_ddof)).sqrt()  # [P]
        scaled = centred / (stds + eps).repeat_interleave(sizes)
    elif scale == "batch":
        scaled = centred / (rewards.std(correction=std_ddof) + eps)
    else:
        scaled = centred
    return torch.where(ties.repeat_interleave(sizes), torch.zeros_like(scaled), scaled)


def normalised_sum(
    parts: Tensor,
    weights: Tensor,
    sizes: Tensor,
    *,
    std_ddof: int,
    eps: float,
    tie_margin: float,
) -> Tensor:
    """Return sum_k w_k (r_k - mean(r_k)) / (std(r_k) + eps) over each group, where a part whose
    rewards are equal in the group adds 0 (GDPO, arXiv 2601.05242).

    Each part then has as large a say as its weight, whatever its spread.

    parts: float64 [K, N]; weights: float64 [K]; sizes: int [P] -> float64 [N]
    """
    scaled = [
        advantages(part, sizes, scale="group", std_ddof=std_ddof, eps=eps, tie_margin=tie_margin)
        for part in parts
    ]
    return (weights[:, None] * torch.stack(scaled)).sum(dim=0)


def tied(rewards: Tensor, sizes: Tensor, *, tie_margin: float) -> Tensor:
    """Whether a group's rewards are equal: max - min <= tie_margin, up to rounding.

    rewards: float64 [N]; sizes: int [P] -> bool [P]
    """
    lowest = _over_groups("min", rewards, sizes)  # [P]
    highest = _over_groups("max", rewards, sizes)  # [P]
    rounding = ROUNDING * torch.maximum(lowest.abs(), highest.abs())
    return highest - lowest <= tie_margin + rounding


def _over_groups(reduce: Literal["sum", "min", "max"], values: Tensor, sizes: Tensor) -> Tensor:
    """Reduce over each group: [N] -> [P]"""
    return torch.segment_reduce(values, reduce, lengths=sizes)
