"""A job in the containers: undisturbed, with its worker stopped, and with its worker killed."""

from collections.abc import Mapping
from typing import Any

from duet import Client
from duet.objects.job import Attempt, Job
from duet.objects.log import Record
from tests.compose.engine import SERVICES, Engine
from tests.waiting import wait_until

STEPS = 30
SPEC: Mapping[str, Any] = {
    "preset": "demo",
    "data": {"eval": None},
    "algorithm": {"prompts_per_step": 64, "minibatches": 1},
    "rollout": {"max_tokens": 48},
    "checkpoints": {"every_steps": 6},
    "budget": {"max_steps": STEPS},
}
"""About half a second a step with vLLM, so that it can be stopped on its way."""
OF_THE_MACHINE = ("seconds/", "memory/")
JOB_SECONDS = 240
LEASE_SECONDS = 150
"""A killed worker's lease, and one more before a worker that was away lets any expire."""


class Scenario:
    """Jobs of one spec, whose results must be equal."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self._url = url

    def start(self) -> None:
        """Start all services; return when they are healthy and the worker has registered."""
        self._engine.up()
        for service in (name for name, given in SERVICES.items() if "healthcheck" in given):
            self._until(lambda service=service: self._engine.is_healthy(service))
        create = ("python", "-m", "store", "create-key", "--name", "test")
        key = self._engine.compose("exec", "-T", "api", *create).strip()
        self._client = Client(self._url, key)
        self._until(self._client.workers.list)
        assert self._client.ready().status == "ready"

    def train(self) -> None:
        """Train a job undisturbed; the others are compared with it."""
        job = self._ended(self._submit("undisturbed"))
        assert job.attempt == 1, job.timeline
        self._unbroken = self._end(job.id)

    def stop_worker(self) -> None:
        """Stop a job's worker within its grace period, and start it again."""
        job = self._at_step(self._submit("stopped"), 3)
        self._engine.compose("stop", "worker")
        assert self._engine.exit_code("worker") == 0, (
            "the worker was killed: its grace is too short"
        )
        waiting = self._client.jobs.get(job.id)
        assert (waiting.status, waiting.failures) == ("queued", 0), waiting.timeline
        saved = [checkpoint.step for checkpoint in self._client.checkpoints.list(job.id)]
        assert saved[-1:] == [self._metrics(job.id)[-1].step], "its last step was not saved"
        assert saved[-1] < STEPS, "it was stopped too late to show anything"
        self._engine.compose("start", "worker")
        self._assert_exact(job.id, outcome="stopped", resumed_from=saved[-1])

    def kill_worker(self) -> None:
        """Kill a job's worker, and start it again."""
        job = self._submit("killed")
        self._until(lambda: list(self._client.checkpoints.list(job.id)))
        self._engine.compose("kill", "worker")
        assert self._engine.exit_code("worker") != 0
        saved = [checkpoint.step for checkpoint in self._client.checkpoints.list(job.id)][-1]
        assert saved < STEPS, "it was killed too late to show anything"
        self._engine.compose("start", "worker")
        self._until(lambda: self._client.jobs.get(job.id).attempt == 2, seconds=LEASE_SECONDS)
        self._assert_exact(job.id, outcome="lost", resumed_from=saved)

    def _submit(self, name: str) -> Job:
        return self._client.jobs.create({**SPEC, "name": name})

    def _at_step(self, job: Job, step: int) -> Job:
        self._until(lambda: self._client.jobs.get(job.id).progress.step >= step)
        return self._client.jobs.get(job.id)

    def _ended(self, job: Job) -> Job:
        self._until(lambda: self._client.jobs.get(job.id).ended, seconds=JOB_SECONDS)
        ended = self._client.jobs.get(job.id)
        assert ended.status == "succeeded", f"{ended.error}\n{self._log()}"
        return ended

    def _assert_exact(self, job: str, *, outcome: str, resumed_from: int) -> None:
        """Wait for the job's second attempt; metrics and weights equal those of the first job."""
        self._ended(self._client.jobs.get(job))
        first, second = self._client.jobs.attempts(job)
        assert first.outcome == outcome, _shown(first)
        assert second.resumed_from_step == resumed_from, _shown(second)
        assert self._end(job) == self._unbroken

    def _end(self, job: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Metrics of every step, and the sha256 of the last checkpoint's tensors."""
        metrics = self._metrics(job)
        assert [record.step for record in metrics] == list(range(1, STEPS + 1))
        *_, last = self._client.checkpoints.list(job)
        assert (last.step, last.final) == (STEPS, True)
        files = self._client.checkpoints.get(last.id).files
        tensors = {file.path: file.sha256 for file in files if file.path.endswith(".safetensors")}
        assert "model.safetensors" in tensors
        return [_timeless(record.payload) for record in metrics], tensors

    def _metrics(self, job: str) -> list[Record]:
        return list(self._client.jobs.records(job, kind="metric"))

    def _until(self, true: Any, *, seconds: float = 150) -> None:
        wait_until(true, seconds=seconds, told=self._log)

    def _log(self) -> str:
        return self._engine.compose("logs", "worker")[-4000:]


def _timeless(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics without those that measure the machine."""
    return {
        name: value
        for name, value in metrics.items()
        if not name.startswith(OF_THE_MACHINE) and "per_second" not in name and name != "step_time"
    }


def _shown(attempt: Attempt) -> str:
    return f"{attempt.outcome}, resumed from {attempt.resumed_from_step}: {attempt.error}"
