"""Every worker looks after all jobs: whoever died is noticed by the others."""

import os
import signal

import structlog
from celery import Celery
from sqlalchemy.exc import OperationalError

from store import files, workers
from store.access import audit
from store.jobs import reaper
from store.troubles import POSTGRES_AWAY
from store.workers import Duty
from worker.context import Post
from worker.hardware import machine
from worker.maintenance.cleanup import Tidying
from worker.maintenance.sample_retention import thin_samples
from worker.orphans import end_orphans
from worker.slots import Slots
from worker.wake_up import send_wake_up

FILES_AT_ONCE = 100

log = structlog.get_logger()


def maintain_until_stopped(post: Post, app: Celery, slots: Slots) -> None:
    """Register the worker, then at intervals send its heartbeat, obey its row, run the reaper and
    clean up; for a thread of its own.
    """
    _enrol(post, slots.total)
    tidying = Tidying(post)
    while not post.stopping.wait(post.settings.reaper_seconds):
        try:
            _heed_row(post, slots)
            queued = _reap(post)
        except Exception as error:  # noqa: BLE001 - the worker would seem alive
            post.database.troubles.tell("reap_failed", error)
        else:
            if queued:
                send_wake_up(app)
            _tidy(post, tidying)
    log.info("worker_stopping", worker_id=str(post.worker_id))
    _leave(post)


def _enrol(post: Post, num_slots: int) -> None:
    """Once Postgres answers."""
    found = machine(post.settings.gpus)
    while not post.stopping.is_set():
        try:
            with post.database.session() as session:
                end_orphans(session, host=post.host, boot_id=post.boot_id)
                workers.register(
                    session,
                    worker_id=post.worker_id,
                    host=post.host,
                    boot_id=post.boot_id,
                    pid=post.pid,
                    queues=post.settings.queues,
                    num_gpus=len(post.settings.gpus),
                    slots=num_slots,
                    machine=found,
                )
        except OperationalError as error:
            post.database.troubles.tell(POSTGRES_AWAY, error)
            post.stopping.wait(post.settings.reaper_seconds)
        else:
            log.info("worker_registered", worker_id=str(post.worker_id), slots=num_slots)
            return


def _heed_row(post: Post, slots: Slots) -> None:
    """Say that this worker lives, and do as its row says."""
    asked = post.drain_asked.is_set()
    blocked = post.writes.look()
    with post.database.session() as session:
        duty = workers.beat(session, post.worker_id, blocked=blocked)
        if asked:
            workers.drain(session, post.worker_id, leave=True)
            duty = Duty(drains=True, leaves_when_empty=True)
    if not duty.drains:
        post.draining.clear()
    elif not post.draining.is_set():
        log.info("worker_drains", worker_id=str(post.worker_id))
        post.draining.set()
    if asked:
        post.drain_asked.clear()
    if duty.drains and duty.leaves_when_empty and slots.all_free:
        os.kill(post.pid, signal.SIGTERM)


def _tidy(post: Post, tidying: Tidying) -> None:
    """Its failure must not keep lost attempts waiting."""
    try:
        tidying.remove_stray()
        tidying.remove_old_runs()
        thin_samples(post)
        _remove_expired_files(post)
        _forget_old_audit_records(post)
    except Exception as error:  # noqa: BLE001 - see above
        post.database.troubles.tell("tidying_failed", error)


def _remove_expired_files(post: Post) -> None:
    with post.database.session() as session:
        gone = files.expire(session, limit=FILES_AT_ONCE)
    for file_id in gone:
        post.artifacts.delete(files.artifact_key(file_id))


def _forget_old_audit_records(post: Post) -> None:
    with post.database.session() as session:
        audit.forget_old(session, keep_days=post.settings.audit_keep_days)


def _leave(post: Post) -> None:
    try:
        with post.database.session() as session:
            workers.leave(session, post.worker_id)
    except OperationalError as error:
        post.database.troubles.tell(POSTGRES_AWAY, error)


def _reap(post: Post) -> bool:
    """Run the reaper; return whether a job can be claimed."""
    with post.database.session() as session:
        result = reaper.reap(
            session,
            outage_seconds=post.settings.outage_seconds,
            lease_seconds=post.settings.lease_seconds,
            retry_seconds=post.settings.retry_seconds,
        )
    if result.requeued or result.failed:
        log.warning("attempts_lost", requeued=result.requeued, failed=result.failed)
    return result.queued
