"""The worker's Celery application keeps to itself, and Redis small."""

import redis
from celery import Celery

from duet.local.services.process import free_port
from store.wake_up import QUEUE, TASK
from worker.celery_app import make_app
from worker.wake_up import send_wake_up


def take_up_work() -> None:
    """Never called here."""


def test_its_task_is_no_other_apps():
    """vLLM looks at every module's attributes, Celery's proxies too, and so makes apps ready."""
    ours = make_app("redis://127.0.0.1:1/0", work=take_up_work)
    other = Celery("other", set_as_current=False)
    assert TASK in ours.tasks
    assert TASK not in other.tasks


def test_it_can_do_nothing_but_look_for_work():
    app = make_app("redis://127.0.0.1:1/0", work=take_up_work)
    assert set(app.tasks) == {TASK}
    assert not app.conf.worker_enable_remote_control


def test_wake_ups_do_not_pile_up_while_nobody_takes_them(redis_url: str):
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
