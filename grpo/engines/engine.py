"""What a rollout engine is: it turns prompts into completions with the current weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.  top_k = 0 is no limit; temperature = 0 is greedy."""

    temperature: float
    top_p: float
    top_k: int
    max_tokens: int


@dataclass(frozen=True)
class Request:
    """One completion to draw.  Its seed alone decides the draw, whatever else is in the batch."""

    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """Token ids produced for a prompt, the end token included when it was reached.

    `sampler_logprobs` are the engine's own, of the distribution sampled from (after temperature).
    """

    token_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


class RolloutEngine(Protocol):
    """Generates completions; holds its own copy of the weights."""

    name: str

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """One completion a request, in the requests' order."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take the policy's `state_dict()` (tied heads included) and forget cached prefixes."""
        ...

    def sleep(self) -> None:
        """Give the accelerator's memory back until `wake`; nothing to do without one."""
        ...

    def wake(self) -> None: ...

    def close(self) -> None: ...
