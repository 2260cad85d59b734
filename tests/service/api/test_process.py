"""`python -m api`: free of torch, and gone when it is told to go."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from duet.local.services.process import answers, free_port
from store.settings import Settings
from tests.service.api.conftest import client
from tests.service.api.test_jobs import submit
from tests.waiting import deadline, wait_until


@contextmanager
def process(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    command = [sys.executable, "-m", "api", "--port", str(port)]
    addresses = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "ARTIFACTS_URL": settings.artifacts_url,
    }
    child = subprocess.Popen(command, env={**os.environ, **addresses})
    try:
        wait_until(lambda: answers(port) or child.poll() is not None, seconds=60)
        assert child.poll() is None, "it ended"
        yield child, f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


def test_it_ends_within_seconds_though_streams_are_open(settings: Settings, key: str):
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


def test_it_loads_no_torch_and_opentelemetry_only_where_it_is_on():
    heavy = "{'torch', 'transformers', 'vllm', 'numpy', 'opentelemetry'}"
    code = f"import sys, api.__main__; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
