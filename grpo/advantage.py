"""Group-relative advantages."""

from typing import Literal

import torch
from torch import Tensor

# A reward is a sum of weighted parts: two orders of the same sum differ by some 1e-16 of its size.
ROUNDING = 1e-9


def group_advantages(
    rewards: Tensor,
    *,
    scale: Literal["group", "none"],
    std_ddof: int,
    eps: float,
    tie_margin: float,
) -> Tensor:
    """A_i = (r_i - mean(r)) / (std(r) + eps) over each row (arXiv 2402.03300, eq. 3).

    Without `scale` the centred rewards themselves.  A tie's advantages are 0 by definition, never
    0/0.  With std_ddof 0 and eps 0 a mixed pair has +1 and -1 (arXiv 2510.00977, eq. 14).

    rewards: float64 [P, G] -> float64 [P, G]
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)  # [P, G]
    if scale == "group":
        centred = centred / (rewards.std(dim=1, keepdim=True, correction=std_ddof) + eps)
    ties = tied(rewards, tie_margin=tie_margin).unsqueeze(1)  # [P, 1]
    return torch.where(ties, torch.zeros_like(centred), centred)


def tied(rewards: Tensor, *, tie_margin: float) -> Tensor:
    """Whether a group's rewards are equal: max - min <= tie_margin, up to rounding.

    rewards: float64 [P, G] -> bool [P]
    """
    lowest, highest = rewards.aminmax(dim=1)  # [P], [P]
    rounding = ROUNDING * rewards.abs().amax(dim=1)
    return highest - lowest <= tie_margin + rounding
