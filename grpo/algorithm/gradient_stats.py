"""Statistics of gradients and rewards that test the paper's mathematics in a run.

A gradient is one flat vector [D] over all of the policy's parameters.
"""

import torch
from torch import Tensor


class GradientVariance:
    """The variance of the gradient from group to group (arXiv 2510.00977, def. 5.2, lemma 5.3).

    Var(g) = E |g - E g|², over the gradients g of single groups: the trace of their covariance.
    The gradient of a batch of Q groups is the mean of theirs, with variance Var(g) / Q.  The groups
    are the independent samples: a group's completions share its mean reward.

    Holds one vector, the mean so far (Welford's running moments), not the gradients.
    """

    def __init__(self) -> None:
        self.num_groups = 0
        self._mean = torch.zeros(0)  # [D] after the first gradient
        self._squares = 0.0  # sum of |g - mean|²

    def add(self, gradient: Tensor) -> None:
        """Add one group's gradient [D], of the mean loss over the group's completions."""
        if not len(self._mean):
            self._mean = torch.zeros_like(gradient)
        before = gradient - self._mean
        self._merge(num=1, distance_squared=before.double().square().sum().item())
        self._mean += before / self.num_groups

    def add_ties(self, num: int) -> None:
        """Add groups whose gradient is 0; they count towards the mean."""
        if num:
            self._merge(num=num, distance_squared=self._mean.double().square().sum().item())
            self._mean *= 1 - num / self.num_groups

    def _merge(self, *, num: int, distance_squared: float) -> None:
        """Add `num` equal gradients at the given squared distance from the mean."""
        total = self.num_groups + num
        self._squares += distance_squared * self.num_groups * num / total
        self.num_groups = total

    @property
    def mean(self) -> Tensor:
        """The batch's gradient: [D]"""
        return self._mean

    @property
    def of_a_group(self) -> float:
        """Var(g), unbiased.

        Raises:
            ValueError: fewer than two groups.
        """
        if self.num_groups < 2:
            raise ValueError(f"the variance of {self.num_groups} gradients is not defined")
        return self._squares / (self.num_groups - 1)

    @property
    def of_the_batch(self) -> float:
        """Var(g) / Q: the variance of the mean of all gradients added."""
        return self.of_a_group / self.num_groups


def cosine(gradient: Tensor, other: Tensor) -> float:
    """Return the cosine of the angle between two gradients: [D], [D]

    Raises:
        ValueError: one of them is 0 and has no direction.
    """
    lengths = gradient.double().norm() * other.double().norm()
    if lengths == 0:
        raise ValueError("a gradient of 0 has no direction")
    return (gradient.double().dot(other.double()) / lengths).item()


def expected_keep_rate(pass_rate: float, *, group_size: int) -> float:
    """Return 1 - p^k - (1 - p)^k: the share of mixed groups if every prompt has pass rate p.

    For pairs it is 2p(1 - p).  For the batch's pass rate it is an upper bound: the formula is
    concave in p, so prompts that differ in difficulty tie more often (Jensen).  A separate pass
    rate for each prompt would add no information: from the same k completions, the unbiased
    estimate of a pair's 2p(1 - p) is whether the pair is mixed.
    """
    return 1 - pass_rate**group_size - (1 - pass_rate) ** group_size
