"""`python -m api`: no torch, and a prompt end when it is stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import ValidationError

from duet.local.services.process import answers, free_port
from store.database.database import Database
from store.settings import Settings
from tests.service.api.conftest import client, make_key
from tests.service.api.test_jobs import submit
from tests.waiting import deadline, wait_until


@contextmanager
def process(settings: Settings, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    command = [sys.executable, "-m", "api", "--port", str(port)]
    addresses = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "ARTIFACTS_URL": settings.artifacts_url,
    }
    child = subprocess.Popen(command, env={**os.environ, **addresses, **more})
    try:
        wait_until(lambda: answers(port) or child.poll() is not None, seconds=60)
        assert child.poll() is None, "it ended"
        yield child, f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


def test_the_api_ends_within_seconds_with_open_streams(settings: Settings, key: str):
    with process(settings) as (child, url), client(url, key) as http:
        job = submit(http)["id"]
        with http.stream("GET", f"/v1/jobs/{job}/stream") as answer:
            lines = answer.iter_lines()  # kept: the connection would end with it
            assert next(lines).startswith("id: 1")
            began = time.monotonic()
            child.send_signal(signal.SIGTERM)
            child.wait(deadline(30))
            assert time.monotonic() - began < deadline(5)
        assert child.returncode in (0, -signal.SIGTERM)


def test_the_api_loads_no_torch_and_opentelemetry_only_if_enabled():
    heavy = "{'torch', 'transformers', 'vllm', 'numpy', 'opentelemetry'}"
    code = f"import sys, api.__main__; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


FORGED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=203.0.113.9;proto=https",
    "X-Real-IP": "203.0.113.9",
}


def signed_in(url: str, key: str, **headers: str) -> tuple[str, str]:
    """Return the address in the audit record of a sign-in, and its cookie."""
    with client(url, key) as http:
        answer = http.post("/v1/session", json={"key": key}, headers={**FORGED, **headers})
        assert answer.status_code == 201
    with client(url, key) as http:
        [record, *_] = http.get("/v1/audit?action=session.begin").json()["data"]
    return record["address"], answer.headers["set-cookie"]


def test_forwarded_headers_are_ignored_by_default(settings: Settings, database: Database):
    key = make_key(database, "ours", "admin")
    # uvicorn's own variable, which would open it again
    with process(settings, FORWARDED_ALLOW_IPS="*") as (_, url):
        address, cookie = signed_in(url, key)
        assert address == "127.0.0.1"
        assert "Secure" not in cookie
        with httpx.Client(base_url=url) as http:
            statuses = [
                http.post(
                    "/v1/session",
                    json={"key": "duet_" + "0" * 49},
                    headers={"X-Forwarded-For": f"203.0.113.{n}"},
                ).status_code
                for n in range(70)  # more than two minutes' worth: one may begin meanwhile
            ]
        assert statuses[-1] == 429


def test_a_trusted_proxys_headers_are_used(settings: Settings, database: Database):
    key = make_key(database, "ours", "admin")
    with process(settings, DUET_TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.0/8") as (_, url):
        address, cookie = signed_in(url, key)
        assert address == "203.0.113.9"
        assert "Secure" in cookie
        # What the client itself wrote stands before what the proxy added.
        chain = "198.51.100.1, 203.0.113.7, 10.1.1.1"
        assert signed_in(url, key, **{"X-Forwarded-For": chain})[0] == "203.0.113.7"


@pytest.mark.parametrize("proxies", ["*", "everybody", "10.0.0.1/8", "::g", "10.0.0.0/33"])
def test_an_invalid_proxy_address_is_refused_at_the_start(proxies: str):
    with pytest.raises(ValidationError, match="is neither an address nor a network"):
        Settings(
            database_url="postgresql://a",
            redis_url="redis://a",
            artifacts_url="file:///a",
            trusted_proxies=proxies,
        )


@pytest.mark.parametrize("port", ["65536", "99999", "-1", "80.5"])
def test_a_port_that_cannot_be_is_refused(port: str):
    ended = subprocess.run(
        [sys.executable, "-m", "api", "--port", port], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "argument --port" in ended.stderr
    assert "Traceback" not in ended.stderr
