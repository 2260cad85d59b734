"""`python -m worker ops`: the short work, in a process of its own, so that it never waits behind a
job of ten hours.  It needs Postgres, and neither Redis nor a GPU.
"""

import signal
import threading

import structlog

from store.database import Database
from store.settings import Settings
from store.telemetry.logging import write_operator_log
from store.webhooks.sender import Sender
from worker.webhook_delivery import Delivering

log = structlog.get_logger()

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def main() -> None:
    """Delivers webhooks until SIGTERM or SIGINT, and then what is being sent."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment fills it
    write_operator_log()
    database = Database(settings.database_url)
    sender = Sender(
        timeout_seconds=settings.webhooks_timeout_seconds,
        allow_private=settings.webhooks_allow_private,
    )
    delivering = Delivering(database, sender)
    # Blocked here and thus in every thread, and waited for: no handler runs amid anything.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    thread = threading.Thread(target=delivering.run, name="delivering")
    thread.start()
    log.info("ops_started")
    signal.sigwait(STOP_SIGNALS)
    delivering.stop()
    thread.join()
    database.close()
