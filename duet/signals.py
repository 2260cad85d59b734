"""Graceful stop of a command on Ctrl-C, SIGTERM and a closed terminal."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A request to stop; not an Exception, so that no handler of errors swallows it."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise StopRequested, in the main thread, when a signal asks to stop.

    It is raised a second time for a Ctrl-C during the stop, to hurry it.  Any other repetition
    counts as the same request, as when `make` forwards a signal that the terminal also sent to this
    process.
    """
    num_raised = 0

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal num_raised
        if num_raised == 0 or (num_raised == 1 and number == signal.SIGINT):
            num_raised += 1
            raise StopRequested

    before = {number: signal.signal(number, ask) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
