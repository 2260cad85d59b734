"""Rate limits: refusals, headers, and operation without Redis."""

import os
import re
import signal
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from api.limits.rate_limits import PAUSE_SECONDS, WINDOW_SECONDS, RateLimits
from duet.local.services.valkey import Valkey
from store.database.database import Database
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving
from tests.waiting import deadline

LIMIT = 5  # as many as the first test asks


@pytest.fixture
def limited(settings: Settings) -> Iterator[str]:
    with serving(settings.model_copy(update={"requests_per_minute": LIMIT})) as url:
        _await_a_minute_with_room()
        yield url


def _await_a_minute_with_room(seconds: float = 15) -> None:
    """Wait so that the requests fall into one window, a minute of the clock."""
    left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
    if left < seconds:
        time.sleep(left)


def test_a_key_sees_its_remaining_requests_and_then_a_retry_time(
    limited: str, key: str, database: Database
):
    with client(limited, key) as http:
        asked = ("/v1/me", "/v1/jobs", f"/v1/jobs/job_{'0' * 32}", "/v1/keys", "/openai/v1/files")
        for count, path in enumerate(asked, 1):
            answer = http.get(path)
            assert answer.status_code == {3: 404, 4: 403}.get(count, 200)
            assert answer.headers["ratelimit-policy"] == f'"minute";q={LIMIT};w=60'
            left = re.fullmatch(r'"minute";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
            assert left is not None
            assert int(left[1]) == LIMIT - count
            assert 1 <= int(left[2]) <= WINDOW_SECONDS
        refused = http.get("/v1/me")
        assert refused.status_code == HTTPStatus.TOO_MANY_REQUESTS
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "rate_limited"
        assert refused.headers["ratelimit"].startswith('"minute";r=0;t=')
        assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_SECONDS
        theirs = http.get("/openai/v1/files")
        assert theirs.status_code == HTTPStatus.TOO_MANY_REQUESTS
        assert theirs.json()["error"]["type"] == "rate_limit_error"
        assert theirs.headers["retry-after"]
        browser = httpx.Client(base_url=limited, headers={"Sec-Fetch-Site": "same-origin"})
        with browser:
            assert browser.post("/v1/session", json={"key": key}).status_code == 201
            assert browser.get("/v1/me").status_code == HTTPStatus.TOO_MANY_REQUESTS
    with client(limited, make_key(database, "ours", "read")) as other:
        assert other.get("/v1/jobs").status_code == 200


def test_repeated_sign_ins_are_limited(url: str):
    _await_a_minute_with_room()
    with httpx.Client(base_url=url) as nobody:
        said = [
            nobody.post("/v1/session", json={"key": f"duet_{n}"}).status_code for n in range(31)
        ]
    assert said == [401] * 30 + [429]


def test_without_redis_requests_pass_and_it_is_logged_once(
    settings: Settings, key: str, tmp_path: Path
):
    server = Valkey(tmp_path / "valkey")
    server.start()
    elsewhere = settings.model_copy(update={"redis_url": server.url})
    with capture_logs() as logs, serving(elsewhere) as url:
        server.stop()
        with client(url, key) as http:
            for _ in range(5):
                answer = http.get("/v1/jobs")
                assert answer.status_code == 200
                assert "ratelimit" not in answer.headers
    assert [entry["event"] for entry in logs].count("rate_limits_off") == 1


def test_a_redis_that_hangs_costs_one_request_a_tenth_of_a_second(tmp_path: Path):
    server = Valkey(tmp_path / "valkey")
    server.start()
    limits = RateLimits(server.url)
    try:
        first = limits.count("a", limit=9)
        assert first is not None
        assert first.count >= 1
        os.kill(server.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert [limits.count("a", limit=9) for _ in range(1000)] == [None] * 1000
        assert time.monotonic() - began < min(deadline(0.5), PAUSE_SECONDS)
    finally:
        os.kill(server.pid, signal.SIGCONT)
        limits.close()
        server.stop()
