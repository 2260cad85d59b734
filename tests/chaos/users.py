"""Users of the system, who repeat each request until it is answered."""

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx

from tests.waiting import deadline

REQUEST_SECONDS = 5.0
AGAIN_SECONDS = 0.2
PATIENCE_SECONDS = 120.0
CONFLICT, AWAY = 409, 503


class Users:
    """Users of the system.  Requests run in threads and are listed in `requests`."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=deadline(REQUEST_SECONDS))
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="user")
        self._closed = Event()
        self.requests: list[Future[Any]] = []
        self.num_repeated = 0
        """Number of unanswered requests that were repeated."""

    def submit(self, spec: Mapping[str, Any]) -> Future[str]:
        """Submit a job and return its id; a repeated request creates no second job."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._begin(self._submit, spec, headers)

    def cancel(self, job: str, *, kill: bool) -> Future[None]:
        return self._begin(self._ask, "POST", f"/v1/jobs/{job}/cancel?kill={str(kill).lower()}")

    def pause_and_resume(self, job: str, *, hold_seconds: float) -> Future[None]:
        return self._begin(self._pause_and_resume, job, hold_seconds)

    def set_priority(self, job: str, priority: int) -> Future[None]:
        return self._begin(self._ask, "PATCH", f"/v1/jobs/{job}", {"priority": priority})

    def list_jobs(self) -> Future[None]:
        return self._begin(self._ask, "GET", "/v1/jobs")

    @property
    def all_answered(self) -> bool:
        return all(request.done() for request in self.requests)

    def complaints(self) -> list[str]:
        """Errors of requests that failed."""
        errors = [request.exception() for request in self.requests if request.done()]
        return [str(error) for error in errors if error is not None]

    def close(self) -> None:
        self._closed.set()
        self._threads.shutdown()
        self._http.close()

    def _begin(self, request: Any, *arguments: Any) -> Future[Any]:
        begun = self._threads.submit(request, *arguments)
        self.requests.append(begun)
        return begun

    def _submit(self, spec: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        return self._ask("POST", "/v1/jobs", spec, headers).json()["id"]

    def _pause_and_resume(self, job: str, hold_seconds: float) -> None:
        """Pause and resume in order: a resume before its pause would leave the job paused."""
        self._ask("POST", f"/v1/jobs/{job}/pause")
        self._closed.wait(hold_seconds)
        self._ask("POST", f"/v1/jobs/{job}/resume")

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, once there is one.  Raises RuntimeError where it is a refusal, or none comes
        in the time allowed."""
        latest = time.monotonic() + deadline(PATIENCE_SECONDS)
        last = "nothing"
        while time.monotonic() < latest and not self._closed.is_set():
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                last = repr(error)
            else:
                if answer.is_success or _came_too_late(answer):
                    return answer
                last = f"{answer.status_code} {answer.text}"
                if not _may_be_repeated(answer):
                    break
            self.num_repeated += 1
            self._closed.wait(AGAIN_SECONDS)
        raise RuntimeError(f"{method} {path} was answered {last}")


def _came_too_late(answer: httpx.Response) -> bool:
    """Conflict because a job has ended, or is about to: not a violation."""
    return answer.status_code == CONFLICT and answer.json()["code"] == "conflict"


def _may_be_repeated(answer: httpx.Response) -> bool:
    """Postgres is unavailable, or the request is in progress.  A 500 is an error of the API."""
    return answer.status_code in (CONFLICT, AWAY)
