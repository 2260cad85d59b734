"""Order of prompts: a seeded shuffle per source, and sources by their weights."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm
from random import Random
from typing import Any

from grpo.data.sources import SourceShare


class PromptSampler:
    """Sampler without replacement: a source is reshuffled after each of its epochs.

    A batch may span two epochs.  The whole state is the number of draws from each source; any
    process resumes from it with exactly the same draws, for any batch size.
    """

    def __init__(self, sources: int | Sequence[SourceShare], seed: int) -> None:
        """`sources`: in the order of their prompts; or the number of prompts of a single source."""
        if isinstance(sources, int):
            sources = [SourceShare("prompts", sources)]
        self._mixture = _Mixture([source.weight for source in sources])
        self._shuffles: list[_Shuffle] = []
        start = 0
        for place, source in enumerate(sources):
            # The first source's order is the same as without other sources.
            key = f"{seed}" if place == 0 else f"{seed} {place}"
            self._shuffles.append(_Shuffle(start, source.num_prompts, key))
            start += source.num_prompts
        self._num_prompts = start

    def take(self, n: int) -> list[int]:
        """Return the indices of the next `n` prompts."""
        return [self._shuffles[self._mixture.next()].next() for _ in range(n)]

    @property
    def epochs(self) -> float:
        """Number of draws divided by the number of prompts."""
        return sum(self._mixture.drawn) / self._num_prompts

    def state(self) -> dict[str, Any]:
        return {"drawn": list(self._mixture.drawn)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._mixture.drawn[:] = state["drawn"]
        for shuffle, drawn in zip(self._shuffles, state["drawn"], strict=True):
            shuffle.drawn = drawn


class _Shuffle:
    """Order of one source's prompts, epoch after epoch."""

    def __init__(self, start: int, num_prompts: int, key: str) -> None:
        assert num_prompts > 0
        self.drawn = 0
        self._start = start
        self._num_prompts = num_prompts
        self._key = key
        self._epoch = -1  # the epoch of `_order`
        self._order: list[int] = []

    def next(self) -> int:
        epoch, position = divmod(self.drawn, self._num_prompts)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        self.drawn += 1
        return self._start + self._order[position]

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(self._num_prompts))
        Random(f"prompts {self._key} {epoch}").shuffle(order)  # text is hashed with SHA-512
        return order


class _Mixture:
    """Order of sources: after t draws a source of share p was drawn t p times, to within one.

    Tijdeman, "The chairman assignment problem" (1980): of n sources those that are due by
    1 / (2n - 2) or more are eligible; next is the one that must be drawn soonest to be at most
    1 - 1 / (2n - 2) behind.  All in integers: shares are whole multiples of 1 / `_whole`.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        exact = [
            Fraction(str(weight)) for weight in weights
        ]  # exactly as written: 0.1, not the nearest float
        scale = lcm(*(weight.denominator for weight in exact))
        self._shares = [int(weight * scale) for weight in exact]
        self._whole = sum(self._shares)
        self.drawn = [0] * len(weights)

    def next(self) -> int:
        source = 0 if len(self.drawn) == 1 else self._soonest_due()
        self.drawn[source] += 1
        return source

    def _soonest_due(self) -> int:
        slack = 2 * len(self.drawn) - 2
        draw = sum(self.drawn) + 1
        due = [
            (share * draw - self._whole * drawn) * slack
            for share, drawn in zip(self._shares, self.drawn, strict=True)
        ]  # in units of 1 / (whole * slack) draws
        latest = self._whole * (slack - 1)
        allowed = [source for source in range(len(due)) if due[source] >= self._whole]
        return min(allowed, key=lambda source: Fraction(latest - due[source], self._shares[source]))
