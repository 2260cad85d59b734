"""Immediate wake-ups of idle workers over Redis; without Redis their pollers find the work."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from store.wake_up import QUEUE, TASK

log = structlog.get_logger()


def send_wake_up(app: Celery) -> bool:
    """Send a wake-up; return whether one is pending in Redis.  Takes at most about a second.

    No second one is sent while one is pending: with every worker busy, the reaper would add one at
    each run.
    """
    try:
        with app.connection_for_write() as connection:
            if connection.default_channel.queue_declare(QUEUE).message_count == 0:
                app.send_task(TASK, queue=QUEUE, retry=False, connection=connection)
    except (OperationalError, RedisError) as error:
        log.warning("wake_up_not_sent", error=str(error))
        return False
    return True
