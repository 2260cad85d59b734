"""`python -m worker ops`: short tasks, in a separate process, so that they never wait behind a job
of ten hours.  They need Postgres and the artifact store, but neither Redis nor a GPU.
"""

import os
import signal
import threading

import structlog

from grpo.runtime.direct_loopback import keep_loopback_direct
from store.artifacts.factory import artifacts_at, end_unless_usable
from store.database.database import Database
from store.database.start_check import end_unless_database_usable
from store.settings import Settings
from store.telemetry.logging import write_operator_log
from store.webhooks.sender import Sender
from worker.file_inspection import Inspecting
from worker.webhook_delivery import Delivering

log = structlog.get_logger()

INSPECTIONS_AT_ONCE = 2
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def main() -> None:
    """Deliver webhooks and inspect files until SIGTERM or SIGINT."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    keep_loopback_direct(os.environ)
    write_operator_log()
    end_unless_usable(settings.artifacts_url)
    artifacts = artifacts_at(settings.artifacts_url, retry_seconds=settings.artifact_retry_seconds)
    database = Database.of(settings)
    end_unless_database_usable(database)
    sender = Sender(
        timeout_seconds=settings.webhooks_timeout_seconds,
        allow_private=settings.webhooks_allow_private,
    )
    delivering = Delivering(database, sender)
    inspecting = [Inspecting(database, artifacts) for _ in range(INSPECTIONS_AT_ONCE)]
    # Blocked here and thus in every thread, and waited for below: no handler interrupts the work.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    duties = (delivering, *inspecting)
    threads = [threading.Thread(target=duty.run) for duty in duties]
    for thread in threads:
        thread.start()
    log.info("ops_started")
    signal.sigwait(STOP_SIGNALS)
    for duty in duties:
        duty.stop()
    for thread in threads:
        thread.join()
    database.close()
