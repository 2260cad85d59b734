"""Celery's worker in this process: runs jobs until a signal asks it to end (`worker.signals`)."""

import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial

from celery import Celery

from grpo.runtime.direct_loopback import keep_loopback_direct
from store.access.project_secrets import end_unless_readable
from store.artifacts.factory import artifacts_at, end_unless_usable
from store.database.database import Database
from store.database.start_check import end_unless_database_usable
from store.settings import Settings
from store.telemetry.logging import write_operator_log
from store.telemetry.tracing import open_tracing
from store.wake_up import QUEUE
from worker.attempt.trainer_environment import trainer_environment
from worker.celery_app import make_app
from worker.claim_loop import ClaimLoop
from worker.context import WorkerContext
from worker.machine.start_check import end_unless_able
from worker.maintenance.loop import maintain_until_stopped
from worker.signals import install_signal_handlers
from worker.slots import Slots, slots_for

TRAINER = (sys.executable, "-m", "grpo")


def main(trainer: Sequence[str] = TRAINER) -> None:
    """Run Celery's worker in this process; return once a signal has stopped it.

    `trainer`: the command that takes `run SPEC --out DIR ...`.
    """
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)  # Celery's own
    write_operator_log()
    keep_loopback_direct(os.environ)
    gpus = end_unless_able(settings.gpus)
    end_unless_usable(settings.artifacts_url)
    database = Database.of(settings)
    end_unless_database_usable(database)
    end_unless_readable(database, settings)
    context = _context(settings, database, trainer)
    slots = Slots(slots_for(gpus))
    claim_loop = ClaimLoop(context, slots)
    app = make_app(settings.redis_url, work=claim_loop.wake)
    threads = _threads(context, app, slots, claim_loop)
    install_signal_handlers(app, context, begin=partial(_start, threads))
    try:
        app.worker_main(_arguments(slots.total))
    finally:
        context.stopping.set()  # the worker may have ended without a signal
        # Joined here and not by the interpreter, whose shutdown stops executors: the checkpoint of
        # a stopped trainer could then not be uploaded.
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        context.tracing.close()
        if context.hurrying.is_set():
            os._exit(0)  # the interpreter would wait for uploads that are no longer needed


def _context(settings: Settings, database: Database, trainer: Sequence[str]) -> WorkerContext:
    return WorkerContext(
        settings=settings,
        database=database,
        artifacts=artifacts_at(
            settings.artifacts_url, retry_seconds=settings.artifact_retry_seconds
        ),
        trainer=trainer,
        environment=trainer_environment(os.environ, named=settings.trainer_variables),
        tracing=open_tracing(settings, service="duet-worker"),
    )


def _start(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()


def _threads(
    context: WorkerContext, app: Celery, slots: Slots, claim_loop: ClaimLoop
) -> list[threading.Thread]:
    """One poller per slot, because each runs the jobs it finds, and the maintenance loop.

    None is a daemon thread: the process ends only when every job has been returned to the queue.
    """
    maintaining = partial(maintain_until_stopped, context, app, slots)
    return [
        *(
            threading.Thread(target=claim_loop.poll, name=f"poller-{number}")
            for number in range(slots.total)
        ),
        threading.Thread(target=maintaining, name="maintenance"),
    ]


def _arguments(num_slots: int) -> list[str]:
    return [
        *("worker", "--pool", "threads", "--concurrency", str(num_slots), "--queues", QUEUE),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
    ]
