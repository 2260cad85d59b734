"""Peak memory of log-probabilities over a large vocabulary, in a separate process."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Linear, Module

from bench.turns import Turns
from grpo.learning.memory import PeakMemory
from grpo.models.logprobs import token_logprobs
from grpo.models.onednn import use_onednn

Method = Literal["full", "ours"]
METHODS: tuple[Method, ...] = ("full", "ours")

HIDDEN = 64  # narrow, so that the head's gradient is small compared with the logits
FEW_TOKENS = 8
PAGE_BYTES = 4096
FLOAT_BYTES = 4
FULL_COPIES = 4  # logits, log-probabilities, gradients, and some reserve


def play(turns: Turns, method: Method, vocabulary: int, num_tokens: int) -> None:
    """Report the peak of forward and backward minus the memory before [bytes]."""
    head = Linear(HIDDEN, vocabulary, bias=False)
    if method == "ours":
        use_onednn(head)  # as in the policy
    compute: Callable[[Tensor, Module, Tensor], Tensor] = {"ours": _ours, "full": _full}[method]
    _forward_backward(
        compute, head, num_tokens=FEW_TOKENS
    )  # gradients and threads are allocated now
    before = _resident_bytes()
    memory = PeakMemory(torch.device("cpu"))
    _forward_backward(compute, head, num_tokens=num_tokens)
    turns.next(memory.take() - before)


def check_room(vocabulary: int, num_tokens: int) -> None:
    """Check that enough memory is free.

    Raises:
        MemoryError: a whole log-softmax of that size might not fit.
    """
    needed = FULL_COPIES * vocabulary * num_tokens * FLOAT_BYTES
    if needed > _available_bytes():
        raise MemoryError(f"{needed / 2**30:.0f} GiB must be free to measure a whole log-softmax")


def _forward_backward(
    compute: Callable[[Tensor, Module, Tensor], Tensor], head: Linear, *, num_tokens: int
) -> None:
    hidden = torch.zeros(num_tokens, HIDDEN, requires_grad=True)
    targets = torch.zeros(num_tokens, dtype=torch.int64)
    compute(hidden, head, targets).sum().backward()


def _ours(hidden: Tensor, head: Module, targets: Tensor) -> Tensor:
    vocabulary = head.get_parameter("weight").shape[0]
    return token_logprobs(hidden, head, targets, temperature=1.0, vocabulary=vocabulary)[0]


def _full(hidden: Tensor, head: Module, targets: Tensor) -> Tensor:
    return head(hidden).log_softmax(dim=1).gather(1, targets.unsqueeze(1)).squeeze(1)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def _available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kibibytes) * 1024
