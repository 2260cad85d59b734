"""kill -9 of the trainer, and of its worker: the job succeeds with the exact result."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest

from tests.faults.conftest import FAST, STEPS, Fleet, Unbroken, WorkerProcess, weights_sha256
from worker.processes import group_members

Kill = Callable[[Fleet, WorkerProcess, UUID], None]

VLLM = {**FAST, "rollout": {"engine": "vllm", "max_tokens": 24}}


def kill_trainer(fleet: Fleet, worker: WorkerProcess, job_id: UUID) -> None:
    os.kill(fleet.trainer(job_id), signal.SIGKILL)


def kill_worker(fleet: Fleet, worker: WorkerProcess, job_id: UUID) -> None:
    """A killed worker's trainer dies with it; another worker takes over."""
    trainer = fleet.trainer(job_id)
    worker.send(signal.SIGKILL)
    worker.wait()
    fleet.wait_until(lambda: not group_members(trainer), seconds=5)
    fleet.start_worker()


@pytest.mark.parametrize(
    ("kill", "spec"),
    [
        # Killed at exact points instead: test_kill_points.py
        pytest.param(kill_trainer, FAST, id="trainer, transformers", marks=pytest.mark.nightly),
        pytest.param(kill_worker, FAST, id="worker, transformers"),
        pytest.param(kill_trainer, VLLM, id="trainer, vllm", marks=pytest.mark.nightly),
    ],
)
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(
    fleet: Fleet, unbroken: Unbroken, kill: Kill, spec: Mapping[str, Any]
):
    worker = fleet.start_worker()
    job_id = fleet.submit(spec)
    fleet.wait_until(lambda: fleet.checkpoints(job_id))
    kill(fleet, worker, job_id)

    job = fleet.finished(job_id)
    assert job.status == "succeeded", fleet.logs()
    assert job.attempt == 2
    second = fleet.attempts(job_id)[1]
    assert second.resumed_from_step is not None
    assert 0 < second.resumed_from_step < STEPS

    steps = [record.step for record in fleet.records(job_id) if record.kind == "metric"]
    assert steps == list(range(1, STEPS + 1))
    seqs = [record.seq for record in fleet.records(job_id, superseded=True)]
    assert seqs == list(range(1, job.last_seq + 1))

    (final,) = [checkpoint for checkpoint in fleet.checkpoints(job_id) if checkpoint.final]
    assert final.step == STEPS
    assert weights_sha256(final.manifest) == unbroken.weights(spec)
