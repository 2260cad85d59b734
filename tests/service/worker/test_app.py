"""The worker's Celery application is isolated, and uses little of Redis."""

import redis
from celery import Celery

from duet.local.services.process import free_port
from store.wake_up import QUEUE, TASK
from worker.celery_app import make_app
from worker.wake_up import send_wake_up


def take_up_work() -> None:
    """Never called."""


def test_the_task_is_registered_in_this_app_only():
    """vLLM inspects every module's attributes, including Celery's proxies, which finalizes apps."""
    ours = make_app("redis://127.0.0.1:1/0", work=take_up_work)
    other = Celery("other", set_as_current=False)
    assert TASK in ours.tasks
    assert TASK not in other.tasks


def test_the_only_task_polls_the_queue():
    app = make_app("redis://127.0.0.1:1/0", work=take_up_work)
    assert set(app.tasks) == {TASK}
    assert not app.conf.worker_enable_remote_control


def test_unread_wake_ups_do_not_accumulate(redis_url: str):
    app = make_app(redis_url, work=take_up_work)
    for _ in range(3):
        assert send_wake_up(app)
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(QUEUE) == 1
        client.delete(QUEUE)
        assert send_wake_up(app)
        assert client.llen(QUEUE) == 1


def test_without_redis_no_wake_up_is_sent_and_nothing_raised():
    app = make_app(f"redis://127.0.0.1:{free_port()}/0", work=take_up_work)
    assert not send_wake_up(app)
