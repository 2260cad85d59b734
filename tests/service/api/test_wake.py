"""The API's wake-up reaches a waiting worker."""

from queue import Empty

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from store.settings import Settings
from store.wake_up import QUEUE, TASK
from tests.service.api.conftest import client, serving
from tests.waiting import deadline
from worker.celery_app import make_app


def do_nothing() -> None:
    """Never called: this app only reads the queue."""


@pytest.mark.parametrize("kind", ["wake-ups", "bindings"])
def test_keys_of_another_type_in_redis_cost_a_submission_nothing(
    settings: Settings, key: str, redis_url: str, kind: str
):
    name = QUEUE if kind == "wake-ups" else f"_kombu.binding.{QUEUE}"
    # A server of its own: only its first message declares the queue, which reads the bindings.
    with serving(settings) as url, client(url, key) as http, capture_logs() as logs:
        with redis.Redis.from_url(redis_url) as database:
            database.set(name, "not a list")
        assert http.post("/v1/jobs", json={}).status_code == 201
        assert http.get("/readyz").status_code == 200
    assert [entry["event"] for entry in logs if entry["log_level"] != "info"] == [
        "wake_up_not_sent"
    ]


def test_a_submission_wakes_a_worker_and_a_check_does_not(http: httpx.Client, redis_url: str):
    app = make_app(redis_url, work=do_nothing)
    http.post("/v1/jobs?validate_only=true", json={})
    http.post("/v1/jobs", json={"preset": "none"})
    assert http.post("/v1/jobs", json={}).status_code == 201
    with app.connection_for_read() as connection, connection.SimpleQueue(QUEUE) as waiting:
        message = waiting.get(timeout=deadline(10))
        message.ack()
        assert message.headers["task"] == TASK
        assert message.payload == [[], {}, message.payload[2]]  # no arguments: Postgres knows
        with pytest.raises(Empty):
            waiting.get(timeout=0.5)
