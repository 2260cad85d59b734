"""Peak memory of a step, and recovery when memory runs out."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from grpo.runtime.out_of_memory import is_out_of_memory

Result = TypeVar("Result")

RESET_PEAK = "5"  # proc(5), clear_refs


class PeakMemory:
    """Peak memory since the last `take` [bytes]: torch's allocations on the GPU, or the memory of
    this process without a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._reset()

    def take(self) -> int:
        peak = torch.cuda.max_memory_allocated() if self._on_gpu else _process_peak()
        self._reset()
        return peak

    def _reset(self) -> None:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text(RESET_PEAK)


def _process_peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None  # every process has one
    return int(found[1]) * 1024


class TokenBudget:
    """Number of tokens computed together, padding included; halved when they do not fit."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def compute(
        self,
        compute: Callable[[int], Result],
        *,
        longest_row: int,
        undo: Callable[[], None] = lambda: None,
    ) -> Result:
        """Call `compute(tokens)`, and retry with half as many tokens each time memory runs out.

        `undo` reverts a failed computation.  A micro-batch of one row of `longest_row` tokens
        cannot be halved.

        Raises:
            torch.OutOfMemoryError, MemoryError, RuntimeError: memory ran out at the smallest
                budget.
        """
        while True:
            try:
                return compute(self.tokens)
            except (RuntimeError, MemoryError) as error:  # torch's is a RuntimeError
                if not is_out_of_memory(error) or self.tokens <= longest_row:
                    raise
            # After the except block: the exception no longer references tensors of the frames it
            # passed.
            undo()
            self.tokens = max(longest_row, self.tokens // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
