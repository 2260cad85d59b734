"""The whole of Duet as started by `duet up`, used over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.conftest import chromium  # noqa: F401 - a fixture
from tests.waiting import deadline

TERMINAL = {"succeeded", "failed", "cancelled"}


@dataclass(frozen=True)
class Stack:
    """A running Duet and a client with its key."""

    url: str
    key: str
    folder: Path
    http: httpx.Client

    def upload(self, path: Path) -> dict[str, Any]:
        with path.open("rb") as file:
            return self._checked(self.http.post("/v1/files", files={"file": (path.name, file)}))

    def submit(self, spec: dict[str, Any]) -> str:
        return self._checked(self.http.post("/v1/jobs", json=spec))["id"]

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._checked(self.http.get(path, params=params))

    def finished(self, job: str, *, seconds: float = 240) -> dict[str, Any]:
        """Wait for the job's end and return it."""
        latest = time.monotonic() + deadline(seconds)
        while (now := self.get(f"/v1/jobs/{job}"))["status"] not in TERMINAL:
            assert time.monotonic() < latest, f"{job} is still {now['status']}: {now}"
            time.sleep(0.1)
        return now

    def records(self, job: str, **params: Any) -> list[dict[str, Any]]:
        """Return every record, page by page."""
        found: list[dict[str, Any]] = []
        after: Any = 0
        while True:
            page = self.get(f"/v1/jobs/{job}/records", after=after, limit=100, **params)
            found += page["data"]
            if page["next"] is None:
                return found
            after = page["next"]

    @staticmethod
    def _checked(answer: httpx.Response) -> dict[str, Any]:
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("duet")
    command = [str(Path(sys.executable).with_name("duet")), "up", "--json", "--dir", str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as up:
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            assert line, f"duet up ended with {up.wait()}"
            said = json.loads(line)
            headers = {"Authorization": f"Bearer {said['key']}"}
            with httpx.Client(base_url=said["url"], headers=headers, timeout=deadline(60)) as http:
                yield Stack(url=said["url"], key=said["key"], folder=folder, http=http)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(deadline(60))
