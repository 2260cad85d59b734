"""The Celery application: a message only says that there may be work."""

from collections.abc import Callable
from uuid import uuid4

from celery import Celery, Task, bootsteps
from celery.worker.consumer import Consumer
from kombu import compression
from kombu.message import Message

from store.wake_up import BOUNDED, QUEUE, TASK

CONFIGURATION = {
    "task_default_queue": QUEUE,
    "task_ignore_result": True,
    # The lease protects a job, not the message; with late acks a message would be redelivered
    # repeatedly.
    "task_acks_late": False,
    # Otherwise a wake-up could wait behind a ten-hour job while other workers are idle.
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        **BOUNDED,
        "socket_keepalive": True,
        "health_check_interval": 25,
    },
    "task_serializer": "json",
    "accept_content": ["json"],
    # Otherwise a client with access to Redis could stop workers and change their queues.
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
}


def make_app(redis_url: str, *, work: Callable[[], None]) -> Celery:
    """Create an app whose only task is `work`.

    A client with access to Redis can only call `work`, which polls the queue.
    """
    app = Celery("duet", broker=redis_url)
    app.conf.update(CONFIGURATION)
    # Celery would add a shared task to every app of the process, including the default one.
    app.task(work, name=TASK, shared=False, base=_WakeUp)
    app.finalize()
    for name in set(app.tasks) - {TASK}:  # Celery's own: they call what their message names
        app.tasks.unregister(name)
    for content_type in compression.encoders():
        compression.register(None, _refuse_compressed, content_type)
    assert app.steps is not None, "an app that is made has its steps"
    app.steps["consumer"].add(_ToleratesNonsense)
    return app


class _WakeUp(Task):
    """A task that ignores its message: start time, time limits, linked tasks and all other options
    of Celery's messages are dropped."""

    def start_strategy(
        self, app: Celery, consumer: Consumer, **more: object
    ) -> Callable[..., object]:
        begin = super().start_strategy(app, consumer, **more)

        def take(message: Message, body: object, *given: object, **more: object) -> None:  # noqa: ARG001
            begin(_bare(), None, *given, **more)

        return take


def _bare() -> Message:
    return Message(
        body=b"[[], {}, {}]",
        content_type="application/json",
        content_encoding="utf-8",
        headers={"lang": "py", "task": TASK, "id": str(uuid4())},
    )


def _refuse_compressed(body: bytes) -> bytes:  # noqa: ARG001 - a decoder's
    """Refuse a compressed message: Duet sends none, and a small one can unpack to gigabytes."""
    raise ValueError("compressed messages are not accepted")


class _ToleratesNonsense(bootsteps.Step):
    """Reconnect to Redis after a malformed message (no JSON, no envelope, a key of another type);
    Celery would end the worker, and with it its running jobs.  All errors are included, since the
    message's author determines which one is raised.
    """

    def __init__(self, consumer: Consumer, **_: object) -> None:
        consumer.connection_errors += (Exception,)
