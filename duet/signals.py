"""Ctrl-C, SIGTERM and a closed terminal ask a command to stop; it then stops what it started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Not an Exception: nothing on the way may take it for an error and go on."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise StopRequested, in the main thread, when we are asked to stop.

    It is raised a second time for a Ctrl-C during the stop: a person is in a hurry.  Any other
    repetition is the same request once more, as when `make` passes on a signal that the terminal
    has sent to us too.
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
