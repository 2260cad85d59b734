"""The wake-up that the API sends is the one that a worker waits for."""

from queue import Empty

import httpx
import pytest

from store.wake_up import QUEUE, TASK
from worker.celery_app import make_app


def do_nothing() -> None:
    """The app here only looks at the queue."""


def test_a_submission_wakes_a_worker_and_a_check_does_not(http: httpx.Client, redis_url: str):
    app = make_app(redis_url, work=do_nothing)
    http.post("/v1/jobs?validate_only=true", json={})
    http.post("/v1/jobs", json={"preset": "none"})
    assert http.post("/v1/jobs", json={}).status_code == 201
    with app.connection_for_read() as connection, connection.SimpleQueue(QUEUE) as waiting:
        message = waiting.get(timeout=10)
        message.ack()
        assert message.headers["task"] == TASK
        assert message.payload == [[], {}, message.payload[2]]  # no arguments: Postgres knows
        with pytest.raises(Empty):
            waiting.get(timeout=0.5)
