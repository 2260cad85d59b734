"""Maintenance by every worker for all jobs, so that a dead worker is detected by the others."""

import os
import signal

import structlog
from celery import Celery
from sqlalchemy.exc import OperationalError

from store import files, workers
from store.access import audit
from store.database.troubles import POSTGRES_AWAY
from store.jobs import reaper
from store.workers import Duty
from worker.context import WorkerContext
from worker.machine.hardware import machine
from worker.maintenance.cleanup import Cleanup
from worker.maintenance.hub_cache_removal import remove_hub_caches
from worker.maintenance.sample_retention import thin_samples
from worker.orphans import end_orphans
from worker.slots import Slots
from worker.wake_up import send_wake_up

FILES_AT_ONCE = 100

log = structlog.get_logger()


def maintain_until_stopped(context: WorkerContext, app: Celery, slots: Slots) -> None:
    """Register this worker, then send its heartbeat, follow its row's instructions and requeue lost
    attempts, every `reaper_seconds`; to be run in a separate thread.
    """
    _enrol(context, slots)
    cleanup = Cleanup(context)
    while not context.stopping.wait(context.settings.reaper_seconds):
        try:
            _heed_row(context, slots)
            queued = _reap(context)
        except Exception as error:  # noqa: BLE001 - the worker would seem alive
            context.database.troubles.tell("reap_failed", error)
        else:
            if queued:
                send_wake_up(app)
            _tidy(context, cleanup)
    log.info("worker_stopping", worker_id=str(context.worker_id))
    _leave(context)


def _enrol(context: WorkerContext, slots: Slots) -> None:
    """Register this worker, once Postgres answers."""
    found = machine(slots.gpus)
    while not context.stopping.is_set():
        try:
            with context.database.session() as session:
                end_orphans(session, host=context.host, boot_id=context.boot_id)
                workers.register(
                    session,
                    worker_id=context.worker_id,
                    host=context.host,
                    boot_id=context.boot_id,
                    pid=context.pid,
                    queues=context.settings.queues,
                    num_gpus=len(slots.gpus),
                    slots=slots.total,
                    machine=found,
                )
        except OperationalError as error:
            context.database.troubles.tell(POSTGRES_AWAY, error)
            context.stopping.wait(context.settings.reaper_seconds)
        else:
            log.info("worker_registered", worker_id=str(context.worker_id), slots=slots.total)
            return


def _heed_row(context: WorkerContext, slots: Slots) -> None:
    """Send the heartbeat, and drain or end as the worker's row says."""
    asked = context.drain_asked.is_set()
    blocked = context.writes.look() or context.retired.problem(slots.gpus)
    with context.database.session() as session:
        duty = workers.beat(session, context.worker_id, blocked=blocked)
        if asked:
            workers.drain(session, context.worker_id, leave=True)
            duty = Duty(drains=True, leaves_when_empty=True)
    if not duty.drains:
        context.draining.clear()
    elif not context.draining.is_set():
        log.info("worker_drains", worker_id=str(context.worker_id))
        context.draining.set()
    if asked:
        context.drain_asked.clear()
    if duty.drains and duty.leaves_when_empty and slots.all_free:
        os.kill(context.pid, signal.SIGTERM)


def _tidy(context: WorkerContext, cleanup: Cleanup) -> None:
    """Run the cleanup, whose failure must not delay the recovery of lost attempts."""
    try:
        cleanup.remove_stray()
        cleanup.remove_old_runs()
        remove_hub_caches(context)
        thin_samples(context)
        _remove_expired_files(context)
        _forget_old_audit_records(context)
    except Exception as error:  # noqa: BLE001 - see above
        context.database.troubles.tell("tidying_failed", error)


def _remove_expired_files(context: WorkerContext) -> None:
    with context.database.session() as session:
        gone = files.expire(session, limit=FILES_AT_ONCE)
    for file_id in gone:
        context.artifacts.delete(files.artifact_key(file_id))


def _forget_old_audit_records(context: WorkerContext) -> None:
    with context.database.session() as session:
        audit.forget_old(session, keep_days=context.settings.audit_keep_days)


def _leave(context: WorkerContext) -> None:
    try:
        with context.database.session() as session:
            workers.leave(session, context.worker_id)
    except OperationalError as error:
        context.database.troubles.tell(POSTGRES_AWAY, error)


def _reap(context: WorkerContext) -> bool:
    """Run the reaper; return whether a job can be claimed."""
    with context.database.session() as session:
        result = reaper.reap(
            session,
            outage_seconds=context.settings.outage_seconds,
            lease_seconds=context.settings.lease_seconds,
            retry_seconds=context.settings.retry_seconds,
        )
    if result.requeued or result.failed:
        log.warning("attempts_lost", requeued=result.requeued, failed=result.failed)
    return result.queued
