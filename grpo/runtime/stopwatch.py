"""The seconds of each phase of a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Accumulates seconds by phase until they are taken."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        began_at = self._clock()
        yield
        self.add(phase, self._clock() - began_at)

    def add(self, phase: str, seconds: float) -> None:
        """Add the time that another thread has measured."""
        self._seconds[phase] = self._seconds.get(phase, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """Return the seconds of each phase since the last call."""
        taken, self._seconds = self._seconds, {}
        return taken
