"""Scores of completions, computed while others are still drawn."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class EarlyScores(Generic[Item, Result]):
    """Scores items in a thread, each time all that have arrived since the last time.

    `together` items at consecutive places are a group, and scored together: rewards can compare
    them.  It does not matter which groups are.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Item]], Sequence[Result]],
        executor: Executor,
        *,
        together: int,
    ) -> None:
        """`executor`: has one thread, and outlives the processes that `score` may start: they end
        with the thread that started them."""
        self._score = score
        self._executor = executor
        self._together = together
        self._incomplete: dict[int, dict[int, Item]] = {}  # by group and place
        self._arrived: deque[dict[int, Item]] = deque()  # whole groups
        self._results: dict[int, Result] = {}
        self._last: Future[None] | None = None

    def add(self, place: int, item: Item) -> None:
        """Take one more item.

        Raises:
            Exception: as raised by `score` for items before it.
        """
        group = self._incomplete.setdefault(place // self._together, {})
        group[place] = item
        if len(group) < self._together:
            return
        self._arrived.append(self._incomplete.pop(place // self._together))
        if self._last is not None and not self._last.done():
            return
        if self._last is not None:
            self._last.result()
        self._last = self._executor.submit(self._score_arrived)

    def results(self) -> list[Result]:
        """Return the results in the order of the places, once all items are scored.

        Raises:
            Exception: as raised by `score`.
        """
        if self._last is not None:
            self._last.result()
        self._executor.submit(self._score_arrived).result()
        return [self._results[place] for place in range(len(self._results))]

    def _score_arrived(self) -> None:
        while self._arrived:
            groups = [self._arrived.popleft() for _ in range(len(self._arrived))]
            items = {place: group[place] for group in groups for place in sorted(group)}
            self._results |= zip(items, self._score(list(items.values())), strict=True)
