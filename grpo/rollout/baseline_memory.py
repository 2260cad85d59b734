"""Each prompt's rewards so far, for `advantage.baseline: memory`."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from grpo.algorithm.baseline import remembered

TOTALS, COUNTS = "totals", "counts"


class BaselineMemory:
    """Two numbers per prompt: the decayed sum of its rewards, and of its completions."""

    def __init__(self, num_prompts: int) -> None:
        self._totals = torch.zeros(num_prompts, dtype=torch.float64)
        self._counts = torch.zeros(num_prompts, dtype=torch.float64)

    def of(self, prompts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the totals and the counts of prompts, by index: [P] each"""
        index = torch.tensor(prompts, dtype=torch.int64)
        return self._totals[index], self._counts[index]

    def add(self, prompt: int, rewards: Sequence[float]) -> None:
        """Add one visit of a prompt."""
        total, count = self._totals[prompt].item(), self._counts[prompt].item()
        self._totals[prompt], self._counts[prompt] = remembered(total, count, rewards)

    def tensors(self) -> dict[str, Tensor]:
        """Return a copy of the state, for a checkpoint that is written while rewards are added."""
        return {TOTALS: self._totals.clone(), COUNTS: self._counts.clone()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from the state in a checkpoint."""
        self._totals.copy_(tensors[TOTALS])
        self._counts.copy_(tensors[COUNTS])
