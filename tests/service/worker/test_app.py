"""The worker's Celery application keeps to itself."""

from celery import Celery

from store.wake_up import TASK
from worker.app import make_app


def take_up_work() -> None:
    """Never called here."""


def test_its_task_is_no_other_apps():
    """vLLM looks at every module's attributes, Celery's proxies too, and so makes apps ready."""
    ours = make_app("redis://127.0.0.1:1/0", work=take_up_work)
    other = Celery("other", set_as_current=False)
    assert TASK in ours.tasks
    assert TASK not in other.tasks
