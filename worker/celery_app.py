"""The Celery application: a message says that there may be work, and nothing else."""

from collections.abc import Callable

from celery import Celery, bootsteps
from celery.worker.consumer import Consumer

from store.wake_up import BOUNDED, QUEUE, TASK


def make_app(redis_url: str, *, work: Callable[[], None]) -> Celery:
    """An app whose one task is `work`."""
    app = Celery("duet", broker=redis_url)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        # The lease protects a job, not the message; a late ack would be delivered again and again.
        task_acks_late=False,
        # Or a wake-up waits behind a ten-hour job while other workers are idle.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            **BOUNDED,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        task_serializer="json",
        accept_content=["json"],
    )
    # Celery would hand a shared one to every other app of the process, the default one included.
    app.task(work, name=TASK, shared=False)
    assert app.steps is not None, "an app that is made has its steps"
    app.steps["consumer"].add(_ToleratesNonsense)
    return app


class _ToleratesNonsense(bootsteps.Step):
    """What is no message at all (no JSON, no envelope) costs the connection to Redis, which is made
    anew; by itself Celery would end the worker, and with it what the worker runs.
    """

    def __init__(self, consumer: Consumer, **_: object) -> None:
        consumer.connection_errors += (ValueError, TypeError, LookupError, AttributeError)
