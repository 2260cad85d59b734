"""The interface of a rollout engine, which completes prompts with the current weights."""

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters.  top_k = 0 is no limit; temperature = 0 is greedy."""

    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    stop: tuple[str, ...] = ()  # texts that end a completion; their tokens belong to it
    logprobs: bool = True  # whether to return the sampler's logprobs, which cost time


@dataclass(frozen=True)
class Request:
    """One completion to draw.  The draw depends on its seed only, not on the rest of the batch."""

    prompt_ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True)
class Completion:
    """Token ids produced for a prompt, including those that ended it: the end token, or the tokens
    up to the one that completes a stop string.  A completion can be empty.

    `sampler_logprobs` come from the engine: under the distribution sampled from (after
    temperature).  Without `Sampling.logprobs` there are none.
    """

    token_ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


Stream = Generator[tuple[int, Completion], None, None]
"""Completions as they end, each with its request's place."""


class RolloutEngine(Protocol):
    """An engine that generates completions with its own copy of the weights.

    It starts awake.  After `sleep` the order is `wake_weights`, `load_weights`, `wake_cache`, and
    only then `generate` (see `grpo.rollout.weight_sync`): a sleeping engine has no weights.
    """

    name: str

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Stream:
        """Yield one completion per request as soon as it has ended.

        Completions that have not ended when the stream is closed are dropped.
        """
        ...

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Generate one completion per request, in the requests' order."""
        by_place = dict(self.stream(requests, sampling))
        return [by_place[place] for place in range(len(requests))]

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take the policy's weights (tied heads included) and forget cached prefixes."""
        ...

    def stale_weights(
        self, weights: Mapping[str, Tensor], *, names: Collection[str] | None
    ) -> list[str]:
        """Name the weights that the engine does not compute with, bit for bit in its own dtype.

        `names`: the weights to compare; None: all, and the engine must have no others.  To be
        called between `load_weights` and `wake_cache`.
        """
        ...

    def sleep(self) -> None:
        """Free the GPU memory of weights and cache; do nothing without a GPU."""
        ...

    def wake_weights(self) -> None:
        """Allocate memory for the weights, uninitialized."""
        ...

    def wake_cache(self) -> None:
        """Allocate memory for the cache of keys and values."""
        ...

    def close(self) -> None:
        """Close the engine, awake or asleep."""
        ...
