"""Signal handlers of a worker.

SIGTERM, SIGINT, SIGHUP: stop; trainers save and their jobs go back to the queue.  A second one, or
SIGQUIT: hurry; trainers are killed and their jobs go back immediately.  SIGUSR1: drain, then end.
"""

import signal
from collections.abc import Callable
from types import FrameType

from celery import Celery, bootsteps

from worker.context import WorkerContext

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def install_signal_handlers(
    app: Celery, context: WorkerContext, *, begin: Callable[[], None]
) -> None:
    """Replace Celery's signal handlers, then call `begin`: no signal can lose a claimed job.

    Celery installs its handlers late, and its consumer's steps wait for Redis: ours are installed
    between the two.
    """

    class Begin(bootsteps.StartStopStep):
        def start(self, parent: object) -> None:  # noqa: ARG002 - Celery's
            _take_over(context)
            begin()

    assert app.steps is not None, "an app that is made has its steps"
    app.steps["worker"].add(Begin)


def _take_over(context: WorkerContext) -> None:
    """Replace Celery's handlers.  Celery receives only the first request to stop: a second one
    would end its main thread while our threads are still working.
    """
    celery_stops = signal.getsignal(signal.SIGTERM)
    assert callable(celery_stops), "Celery handles SIGTERM"

    def stop(number: int, frame: FrameType | None) -> None:
        if context.stopping.is_set():
            context.hurrying.set()
        else:
            context.stopping.set()
            celery_stops(number, frame)

    def hurry(number: int, frame: FrameType | None) -> None:
        context.hurrying.set()
        if not context.stopping.is_set():
            stop(number, frame)

    def drain(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's
        context.drain_asked.set()

    for number in STOPPING:
        signal.signal(number, stop)
    signal.signal(signal.SIGQUIT, hurry)
    signal.signal(signal.SIGUSR1, drain)
