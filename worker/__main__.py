"""`python -m worker`: takes jobs until a signal tells it to end (`worker.signals`).

`python -m worker ops` does the short work instead (`worker.ops`).
"""

import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial

from celery import Celery

from grpo.runtime.direct_loopback import keep_loopback_direct
from store.artifacts.factory import artifacts_at, end_unless_usable
from store.database import Database, end_unless_database_usable
from store.settings import Settings
from store.telemetry.logging import write_operator_log
from store.telemetry.spans import spans_of
from store.wake_up import QUEUE
from worker import ops
from worker.attempt.trainer_environment import trainer_environment
from worker.celery_app import make_app
from worker.claim_loop import Claiming
from worker.context import Post
from worker.maintenance.loop import maintain_until_stopped
from worker.signals import heed_signals
from worker.slots import Slots, slots_for
from worker.start_check import end_unless_able

TRAINER = (sys.executable, "-m", "grpo")


def main(trainer: Sequence[str] = TRAINER) -> None:
    """Runs Celery's worker in this process; returns when it has been told to stop.

    `trainer`: the command that takes `run SPEC --out DIR ...`.
    """
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)  # Celery's own
    write_operator_log()
    keep_loopback_direct(os.environ)
    end_unless_able(settings.gpus)
    end_unless_usable(settings.artifacts_url)
    database = Database.of(settings)
    end_unless_database_usable(database)
    post = Post(
        settings=settings,
        database=database,
        artifacts=artifacts_at(
            settings.artifacts_url, retry_seconds=settings.artifact_retry_seconds
        ),
        trainer=trainer,
        environment=trainer_environment(os.environ, named=settings.trainer_variables),
        spans=spans_of(settings, service="duet-worker"),
    )
    slots = Slots(slots_for(settings.gpus))
    claiming = Claiming(post, slots)
    app = make_app(settings.redis_url, work=claiming.wake)
    threads = _threads(post, app, slots, claiming)
    heed_signals(app, post, begin=partial(_start, threads))
    try:
        app.worker_main(_arguments(slots.total))
    finally:
        post.stopping.set()  # it may have ended without a signal
        # Waited for here and not by the interpreter: once that shuts down, executors take no more
        # work, and the checkpoint of a stopped trainer could not be uploaded.
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        post.spans.close()
        if post.hurrying.is_set():
            os._exit(0)  # the interpreter would wait for uploads, which nobody wants any more


def _start(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()


def _threads(post: Post, app: Celery, slots: Slots, claiming: Claiming) -> list[threading.Thread]:
    """One poller a slot, because each runs what it finds, and the maintenance loop.

    None is a daemon thread: the process ends only when every job has been given back.
    """
    maintaining = partial(maintain_until_stopped, post, app, slots)
    return [
        *(
            threading.Thread(target=claiming.poll, name=f"poller-{number}")
            for number in range(slots.total)
        ),
        threading.Thread(target=maintaining, name="maintenance"),
    ]


def _arguments(num_slots: int) -> list[str]:
    return [
        *("worker", "--pool", "threads", "--concurrency", str(num_slots), "--queues", QUEUE),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    ]


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["ops"]:
            ops.main()
        case other:
            sys.exit(f"python -m worker takes nothing, or `ops`: not {' '.join(other)!r}")
