"""What signals tell a worker.

SIGTERM, SIGINT, SIGHUP: stop; trainers save and their jobs go back to the queue.  A second one, or
SIGQUIT: hurry; trainers are killed and their jobs go back at once.  SIGUSR1: drain, then end.
"""

import signal
from collections.abc import Callable
from types import FrameType

from celery import Celery, bootsteps

from worker.context import Post

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def heed_signals(app: Celery, post: Post, *, begin: Callable[[], None]) -> None:
    """Take signals over from Celery, then `begin`: no job is taken that a signal could lose.

    Celery installs its own handlers late, and what it starts with its consumer waits for Redis:
    between the two is the place for ours.
    """

    class Begin(bootsteps.StartStopStep):
        def start(self, parent: object) -> None:  # noqa: ARG002 - Celery's
            _take_over(post)
            begin()

    assert app.steps is not None, "an app that is made has its steps"
    app.steps["worker"].add(Begin)


def _take_over(post: Post) -> None:
    """Celery hears of the first request to stop, and of no other: a second one would end its main
    thread amid the work of ours.
    """
    celery_stops = signal.getsignal(signal.SIGTERM)
    assert callable(celery_stops), "Celery handles SIGTERM"

    def stop(number: int, frame: FrameType | None) -> None:
        if post.stopping.is_set():
            post.hurrying.set()
        else:
            post.stopping.set()
            celery_stops(number, frame)

    def hurry(number: int, frame: FrameType | None) -> None:
        post.hurrying.set()
        if not post.stopping.is_set():
            stop(number, frame)

    def drain(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's
        post.drain_asked.set()

    for number in STOPPING:
        signal.signal(number, stop)
    signal.signal(signal.SIGQUIT, hurry)
    signal.signal(signal.SIGUSR1, drain)
