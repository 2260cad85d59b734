"""The Celery application: a message says that there may be work, and nothing else."""

from collections.abc import Callable

from celery import Celery

WAKE_UP = "duet.wake"
QUEUE = "wake"
EXPIRES_SECONDS = 3600
"""A worker polls many times as often: older wake-ups are of no use."""


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
        # Publishing is bounded whatever Redis does: half a second a try, one retry.
        broker_transport_options={
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "max_retries": 0,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        },
        task_serializer="json",
        accept_content=["json"],
    )
    app.task(work, name=WAKE_UP)
    return app
