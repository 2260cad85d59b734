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
    stop: tuple[str, ...] = ()  # texts that end a completion; their tokens belong to it


@dataclass(frozen=True)
class Request:
    """One completion to draw.  Its seed alone decides the draw, whatever else is in the batch."""

    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """Token ids produced for a prompt, with those that ended it: the end token, or the tokens up to
    the one that completes a stop string.  A completion without tokens is one of length 0.

    `sampler_logprobs` are the engine's own, of the distribution sampled from (after temperature).
    """

    token_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


class RolloutEngine(Protocol):
    """Generates completions; holds its own copy of the weights.

    It starts awake.  After `sleep` the order is `wake_weights`, `load_weights`, `wake_cache`, and
    only then `generate` (`grpo.rollout.weight_sync` keeps it): a sleeping engine has no weights.
    """

    name: str

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """One completion a request, in the requests' order."""
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take the policy's weights (tied heads included) and forget cached prefixes."""
        ...

    def sleep(self) -> None:
        """Give the accelerator's memory back, weights and cache; nothing to do without one."""
        ...

    def wake_weights(self) -> None:
        """Take memory for the weights; nothing is in it yet."""
        ...

    def wake_cache(self) -> None:
        """Take memory for the cache of keys and values."""
        ...

    def close(self) -> None:
        """Awake or asleep."""
        ...
