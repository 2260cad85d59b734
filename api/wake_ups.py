"""Wake-ups for the workers: a hint that there may be work, without guarantee."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from store.wake_up import BOUNDED, QUEUE, TASK

log = structlog.get_logger()


class WakeUps:
    """A Celery client that only publishes."""

    def __init__(self, redis_url: str) -> None:
        self._celery = Celery("duet", broker=redis_url, set_as_current=False)
        self._celery.conf.update(broker_transport_options=BOUNDED, task_ignore_result=True)

    def send(self) -> None:
        """Publish one wake-up. A failure is only logged: the workers' polling finds the job."""
        try:
            self._celery.send_task(TASK, queue=QUEUE, retry=False, ignore_result=True)
        except (OperationalError, RedisError) as error:
            log.warning("wake_up_not_sent", error=str(error))

    def redis_answers(self) -> bool:
        """Whether Redis accepts connections."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
                return True
        except (OperationalError, RedisError):
            return False

    def close(self) -> None:
        self._celery.close()
