"""Deliveries sent within the test's process, as `python -m worker ops` sends them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from store.database.database import Database
from store.webhooks.deliveries import PATIENCE, Patience
from store.webhooks.sender import Sender
from worker.webhook_delivery import Delivering

SENDER = Sender(timeout_seconds=10, allow_private=True)


@contextmanager
def delivering(
    database: Database, patience: Patience = PATIENCE, *, num_threads: int = 8
) -> Iterator[None]:
    running = Delivering(database, SENDER, patience=patience, num_threads=num_threads)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        yield
    finally:
        running.stop()
        thread.join()
