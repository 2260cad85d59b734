"""`python -m worker` that sends itself SIGSTOP, once, at one exact point: its only argument.

What the worker runs is the product's own: a profiler only looks at the calls.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from grpo.runtime.garbage import collection_paused

with collection_paused():
    from worker.run import main

Locals = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """The first call of a function with such local variables, or return from it."""

    event: Literal["call", "return"]
    function: str
    """Qualified, of `module`."""
    caller: str = ""
    """Name of the calling function; empty: any."""
    locals: Callable[[Locals], bool] = lambda _: True
    module: str = "store.jobs.leases"


def _have_metric(local: Locals) -> bool:
    return any(entry.kind == "metric" for entry in local["entries"])


POINTS: Mapping[str, Point] = {
    "before a record": Point("call", "sync", locals=_have_metric),
    "before a checkpoint": Point("call", "register_checkpoint"),
    "before a state": Point("call", "finish"),
    # The job's row is locked, and Postgres waits for what this transaction will say next.
    "in a transaction": Point("return", "_held", caller="register_checkpoint"),
}


class Freeze:
    """A profile function (threading.setprofile)."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._done = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        point = self._point
        if event != point.event or frame.f_code.co_qualname != point.function or self._done:
            return
        caller = frame.f_back.f_code.co_qualname if frame.f_back else ""
        here = frame.f_globals.get("__name__") == point.module and point.caller in ("", caller)
        if here and point.locals(frame.f_locals):
            self._done = True
            os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    threading.setprofile(Freeze(POINTS[sys.argv[1]]))
    del sys.argv[1:]
    main()
