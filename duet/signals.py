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
    """Raise StopRequested, in the main thread, whenever we are asked to stop."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        raise StopRequested

    before = {number: signal.signal(number, ask) for number in ASKING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
