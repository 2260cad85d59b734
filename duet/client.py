"""A client of Duet's HTTP API."""

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from duet.errors import UNREACHABLE, DuetError, Problem, Unreachable
from duet.events import Event, read_events
from duet.objects import (
    Attempt,
    Checkpoint,
    CheckpointFile,
    Delivery,
    File,
    Job,
    Record,
    Sweep,
    Webhook,
    WebhookTest,
    Worker,
)

RECONNECT_SECONDS = 30  # how long `follow` keeps trying to come back to a server that went away
SILENCE_SECONDS = 60  # the server pings four times in that


class Client:
    """Speaks to one server with one key.

    Raises:
        Problem: the server refused the request.
        Unreachable: it did not answer.
    """

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 60) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def upload(self, path: Path) -> File:
        """Send a JSONL or Parquet file."""
        with path.open("rb") as file:
            answer = self._call("POST", "/v1/files", files={"file": (path.name, file)})
        return File.model_validate(answer.json())

    def submit(self, spec: Mapping[str, Any]) -> Job:
        """Queue a job; a connection that breaks off is tried once more without doubling the job."""
        return self._make("/v1/jobs", json=dict(spec))

    def sweep(self, base: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> Sweep:
        """Queue a job for each combination of the grid's values; made once, as by `submit`.

        `grid`: dotted paths into the spec -> values.
        """
        answer = self._send_once("/v1/sweeps", json={"base": dict(base), "grid": dict(grid)})
        return Sweep.model_validate(answer.json())

    def read(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - the server's own words
        """What the server says at an address, as it says it."""
        return self._call("GET", path, params=params).json()

    def job(self, job_id: str) -> Job:
        return Job.model_validate(self._call("GET", f"/v1/jobs/{job_id}").json())

    def jobs(self, *, limit: int = 20) -> list[Job]:
        """The newest jobs first."""
        answer = self._call("GET", "/v1/jobs", params={"limit": limit})
        return [Job.model_validate(job) for job in answer.json()["data"]]

    def cancel(self, job_id: str, *, kill: bool = False) -> Job:
        """End a job after its step and a checkpoint; with `kill` at once, without one."""
        params = {"kill": "true"} if kill else {}
        return Job.model_validate(
            self._call("POST", f"/v1/jobs/{job_id}/cancel", params=params).json()
        )

    def pause(self, job_id: str) -> Job:
        """Hold a job: a running one finishes its step and saves first."""
        return Job.model_validate(self._call("POST", f"/v1/jobs/{job_id}/pause").json())

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on, or take back a pause that was only asked for."""
        return Job.model_validate(self._call("POST", f"/v1/jobs/{job_id}/resume").json())

    def change(self, job_id: str, changes: Mapping[str, Any]) -> Job:
        """Change `name`, `labels` (all of them) or `priority`."""
        answer = self._call("PATCH", f"/v1/jobs/{job_id}", json=dict(changes))
        return Job.model_validate(answer.json())

    def retry(self, job_id: str) -> Job:
        """A new job that goes on from an ended one's last checkpoint; made once, as by `submit`."""
        return self._make(f"/v1/jobs/{job_id}/retry")

    def fork(self, job_id: str, checkpoint_id: str, *, overrides: Mapping[str, Any]) -> Job:
        """A new job from a checkpoint of this one; made once, as by `submit`."""
        body = {"checkpoint": checkpoint_id, "overrides": dict(overrides)}
        return self._make(f"/v1/jobs/{job_id}/fork", json=body)

    def delete(self, job_id: str) -> None:
        """Remove an ended job with all that it made."""
        self._call("DELETE", f"/v1/jobs/{job_id}")

    def records(self, job_id: str, *, kind: str) -> Iterator[Record]:
        """The live records of one kind, oldest first."""
        params: dict[str, Any] = {"kind": kind, "limit": 100}
        while True:
            page = self._call("GET", f"/v1/jobs/{job_id}/records", params=params).json()
            yield from (Record.model_validate(record) for record in page["data"])
            if page["next"] is None:
                return
            params["after"] = page["next"]

    def follow(self, job_id: str, *, after: int = 0) -> Iterator[Record]:
        """Every record after `after` as it comes, to the job's end, across broken connections."""
        lost_at: float | None = None
        while True:
            try:
                for event in self._stream(job_id, after):
                    lost_at = None
                    if event.name == "end":
                        return
                    record = Record.model_validate_json(event.data)
                    after = record.seq
                    yield record
            except (Unreachable, Problem) as error:
                now = time.monotonic()
                lost_at = lost_at or now
                if error.exit_code != UNREACHABLE or now - lost_at > RECONNECT_SECONDS:
                    raise
            time.sleep(0.5)

    def attempts(self, job_id: str) -> list[Attempt]:
        """The first first."""
        answer = self._call("GET", f"/v1/jobs/{job_id}/attempts").json()
        return [Attempt.model_validate(attempt) for attempt in answer["data"]]

    def workers(self) -> list[Worker]:
        """Those that are there, the newest first."""
        answer = self._call("GET", "/v1/workers").json()
        return [Worker.model_validate(worker) for worker in answer["data"]]

    def drain(self, worker_id: str, *, leave: bool = False) -> Worker:
        """Let a worker take no more jobs; with `leave` it ends once it runs nothing."""
        params = {"leave": "true"} if leave else {}
        answer = self._call("POST", f"/v1/workers/{worker_id}/drain", params=params)
        return Worker.model_validate(answer.json())

    def undrain(self, worker_id: str) -> Worker:
        """Let a worker take jobs again."""
        return Worker.model_validate(self._call("POST", f"/v1/workers/{worker_id}/undrain").json())

    def log(self, job_id: str) -> str:
        """What the job's last attempt has printed."""
        return self._call("GET", f"/v1/jobs/{job_id}/logs").text

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Those that are kept, by step."""
        answer = self._call("GET", f"/v1/jobs/{job_id}/checkpoints", params={"limit": 100})
        found = [Checkpoint.model_validate(item) for item in answer.json()["data"]]
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    def download(self, checkpoint_id: str, folder: Path) -> None:
        """Write a checkpoint's files into `folder`, each checked against its sha256."""
        manifest = self._call("GET", f"/v1/checkpoints/{checkpoint_id}").json()
        for item in manifest["files"]:
            file = CheckpointFile.model_validate(item)
            self._download_file(checkpoint_id, file, _inside(folder, file.path))

    def webhooks(self) -> list[Webhook]:
        """The newest first."""
        answer = self._call("GET", "/v1/webhooks", params={"limit": 100})
        return [Webhook.model_validate(hook) for hook in answer.json()["data"]]

    def add_webhook(self, url: str, *, events: Sequence[str] | None = None) -> Webhook:
        """Have an address told of these types of event; None: of all."""
        body = {"url": url, **({} if events is None else {"events": list(events)})}
        return Webhook.model_validate(self._call("POST", "/v1/webhooks", json=body).json())

    def remove_webhook(self, webhook_id: str) -> None:
        self._call("DELETE", f"/v1/webhooks/{webhook_id}")

    def test_webhook(self, webhook_id: str) -> WebhookTest:
        """Have it sent a test event, and wait for how it is taken."""
        answer = self._call("POST", f"/v1/webhooks/{webhook_id}/test")
        return WebhookTest.model_validate(answer.json())

    def deliveries(self, webhook_id: str, *, limit: int = 20) -> list[Delivery]:
        """The newest first."""
        path = f"/v1/webhooks/{webhook_id}/deliveries"
        answer = self._call("GET", path, params={"limit": limit})
        return [Delivery.model_validate(item) for item in answer.json()["data"]]

    def _download_file(self, checkpoint_id: str, file: CheckpointFile, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".part")
        digest = hashlib.sha256()
        url = f"/v1/checkpoints/{checkpoint_id}/files/{file.path}"
        with (
            _translated(self.url),
            self._http.stream("GET", url, follow_redirects=True) as answer,
            partial.open("wb") as out,
        ):
            _check(answer)
            for chunk in answer.iter_bytes():
                digest.update(chunk)
                out.write(chunk)
        if digest.hexdigest() != file.sha256:
            partial.unlink()
            raise DuetError(f"{file.path} arrived damaged (its sha256 differs): download it again")
        partial.replace(target)

    def _stream(self, job_id: str, after: int) -> Iterator[Event]:
        url, params = f"/v1/jobs/{job_id}/stream", {"after": after}
        timeout = httpx.Timeout(10, read=SILENCE_SECONDS)
        with (
            _translated(self.url),
            self._http.stream("GET", url, params=params, timeout=timeout) as answer,
        ):
            _check(answer)
            yield from read_events(answer.iter_lines())

    def _make(
        self,
        path: str,
        **options: Any,  # noqa: ANN401 - httpx.request's own
    ) -> Job:
        return Job.model_validate(self._send_once(path, **options).json())

    def _send_once(
        self,
        path: str,
        **options: Any,  # noqa: ANN401 - httpx.request's own
    ) -> httpx.Response:
        """A POST that is sent again if the connection breaks off, and acted on once."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        try:
            return self._call("POST", path, headers=headers, **options)
        except Unreachable:
            return self._call("POST", path, headers=headers, **options)

    def _call(
        self,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401 - httpx.request's own
    ) -> httpx.Response:
        with _translated(self.url):
            answer = self._http.request(method, path, **options)
        _check(answer)
        return answer


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise Unreachable(f"{url} does not answer ({error}): is `duet up` running?") from error


def _check(answer: httpx.Response) -> None:
    """Raises what a refusal says; an answer from something else than Duet is named as such."""
    if answer.is_success:
        return
    answer.read()
    try:
        body = answer.json()
        title = body["title"]
    except (ValueError, KeyError, TypeError):
        words = f"{answer.url} answered {answer.status_code} {answer.reason_phrase}"
        raise Unreachable(f"{words}, which is no answer of Duet: is the address right?") from None
    errors = [(item.get("pointer", ""), item["detail"]) for item in body.get("errors") or []]
    raise Problem(answer.status_code, title, body.get("detail") or "", errors)


def _inside(folder: Path, path: str) -> Path:
    """Where a file of a manifest goes; a manifest can not write elsewhere."""
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise DuetError(
            f"the checkpoint names a file outside its folder ({path!r}): not downloaded"
        )
    return target
