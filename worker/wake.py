"""Telling idle workers at once, where Redis is there; without it their pollers find the work."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from store.wake_up import QUEUE, TASK

log = structlog.get_logger()


def send_wake_up(app: Celery) -> bool:
    """Whether the message left; within about a second, and never an error."""
    try:
        app.send_task(TASK, queue=QUEUE, retry=False)
    except OperationalError as error:
        log.warning("wake_up_not_sent", error=str(error))
        return False
    return True
