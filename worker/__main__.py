"""`python -m worker`: takes jobs until SIGTERM or SIGINT, then saves what runs and ends."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from celery import Celery, signals

from store.artifacts import Artifacts
from store.database import Database
from store.settings import Settings
from worker.app import QUEUE, make_app
from worker.claiming import Claiming
from worker.post import Post
from worker.slots import Slots, slots_for
from worker.sweeper import sweep_until_stopped

SECRETS = ("DATABASE_URL", "REDIS_URL")


def main() -> None:
    """Runs Celery's worker in this process; returns when it has been told to stop."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    _write_logs_to_stderr()
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
    _join_celery(post, start=lambda: _start(post, app, slots, claiming))
    app.worker_main(_arguments(slots.total))


def _join_celery(post: Post, *, start: Callable[[], None]) -> None:
    """Celery owns the process: it tells when to begin, Redis there or not, and when to stop."""

    @signals.worker_init.connect(weak=False)
    def _begin(**_: object) -> None:
        start()

    @signals.worker_shutting_down.connect(weak=False)
    def _stop(**_: object) -> None:
        post.stopping.set()


def _start(post: Post, app: Celery, slots: Slots, claiming: Claiming) -> None:
    """One poller a slot, because each runs what it finds; none of them is a daemon thread, so the
    process ends only when every job has been given back.
    """
    for number in range(slots.total):
        threading.Thread(target=claiming.poll, name=f"poller-{number}").start()
    sweeping = partial(sweep_until_stopped, post, app, num_slots=slots.total)
    threading.Thread(target=sweeping, name="sweeper").start()


def _arguments(num_slots: int) -> list[str]:
    return [
        *("worker", "--pool", "threads", "--concurrency", str(num_slots), "--queues", QUEUE),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
    ]


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in SECRETS}


def _write_logs_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    main()
