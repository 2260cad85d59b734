"""Stop requests: handled between steps, or immediately where no work would be lost."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequested(BaseException):
    """Raised by `Stop.at_once`; not an `Exception`, so that no library swallows it."""


class Stop:
    """The stop request of a run: SIGTERM, or SIGINT (a second SIGINT ends the process)."""

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise `StopRequested` from the block when a stop is requested before or within it."""
        self._at_once = True
        try:
            self._check()
            yield
            self._check()
        finally:
            self._at_once = False

    def _check(self) -> None:
        if self.requested:
            raise StopRequested

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.requested = True
        if self._at_once:
            raise StopRequested
