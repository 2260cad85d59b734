"""`python -m worker`: takes jobs until SIGTERM or SIGINT, then saves what runs and ends."""

import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from celery import Celery, signals

from store.artifacts import Artifacts
from store.database import Database
from store.operator_log import write_operator_log
from store.settings import Settings
from store.wake_up import QUEUE
from worker.app import make_app
from worker.claiming import Claiming
from worker.post import Post
from worker.slots import Slots, slots_for
from worker.sweeper import sweep_until_stopped

SECRETS = ("DATABASE_URL", "REDIS_URL")


def main() -> None:
    """Runs Celery's worker in this process; returns when it has been told to stop."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)  # Celery's own
    write_operator_log()
    post = Post(
        settings=settings,
        database=Database(settings.database_url),
        artifacts=Artifacts(settings.artifacts_url),
        trainer=(sys.executable, "-m", "grpo"),
        environment=_without_secrets(os.environ),
    )
    slots = Slots(slots_for(settings.gpus))
    claiming = Claiming(post, slots)
    app = make_app(settings.redis_url, work=claiming.wake)
    threads = _threads(post, app, slots, claiming)
    _join_celery(post, threads)
    try:
        app.worker_main(_arguments(slots.total))
    finally:
        # Waited for here and not by the interpreter: once that shuts down, executors take no more
        # work, and the checkpoint of a stopped trainer could not be uploaded.
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _join_celery(post: Post, threads: Sequence[threading.Thread]) -> None:
    """Celery owns the process: it tells when to begin, Redis there or not, and when to stop."""

    @signals.worker_init.connect(weak=False)
    def _begin(**_: object) -> None:
        for thread in threads:
            thread.start()

    @signals.worker_shutting_down.connect(weak=False)
    def _stop(**_: object) -> None:
        post.stopping.set()


def _threads(post: Post, app: Celery, slots: Slots, claiming: Claiming) -> list[threading.Thread]:
    """One poller a slot, because each runs what it finds, and the sweeper.

    None is a daemon thread: the process ends only when every job has been given back.
    """
    sweeping = partial(sweep_until_stopped, post, app, num_slots=slots.total)
    return [
        *(
            threading.Thread(target=claiming.poll, name=f"poller-{number}")
            for number in range(slots.total)
        ),
        threading.Thread(target=sweeping, name="sweeper"),
    ]


def _arguments(num_slots: int) -> list[str]:
    return [
        *("worker", "--pool", "threads", "--concurrency", str(num_slots), "--queues", QUEUE),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
    ]


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in SECRETS}


if __name__ == "__main__":
    main()
