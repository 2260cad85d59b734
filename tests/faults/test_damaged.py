"""A damaged checkpoint is skipped, and the job's result is unchanged."""

import signal
from pathlib import Path

import pytest

from store.artifacts.folder import FolderArtifacts
from store.tables import Checkpoint
from tests.faults.conftest import FAST, STEPS, Fleet, Unbroken, weights_sha256


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_in_newest(fleet: Fleet, registered: list[Checkpoint]) -> Checkpoint:
    newest = max(registered, key=lambda checkpoint: checkpoint.step)
    stored = FolderArtifacts(fleet.settings.artifacts_url).path(newest.key)
    flip_a_byte(stored / "model.safetensors")
    return newest


@pytest.mark.nightly
def test_a_flipped_byte_costs_steps_but_the_job_ends_exactly(fleet: Fleet, unbroken: Unbroken):
    worker = fleet.start_worker()
    job_id = fleet.submit({**FAST, "resources": {"max_failures": 2}})
    fleet.wait_until(lambda: len(fleet.checkpoints(job_id)) >= 2)
    worker.send(signal.SIGKILL)  # its lease is over some seconds later: one failure
    worker.wait()
    damaged = flip_in_newest(fleet, fleet.checkpoints(job_id))
    fleet.start_worker()

    job = fleet.finished(job_id)
    assert job.status == "succeeded", fleet.logs()
    _, stepped_over, last = fleet.attempts(job_id)
    assert stepped_over.resumed_from_step == damaged.step
    assert stepped_over.error is not None
    assert stepped_over.error["code"] == "checkpoint_damaged"
    assert last.resumed_from_step == damaged.step - 4

    (said,) = [
        record.payload["text"]
        for record in fleet.records(job_id)
        if record.kind == "message" and "damaged" in record.payload["text"]
    ]
    assert "model.safetensors" in said
    assert said.endswith(f"the run resumes from the previous one, of step {damaged.step - 4}")

    steps = [record.step for record in fleet.records(job_id) if record.kind == "metric"]
    assert steps == list(range(1, STEPS + 1))
    (final,) = [checkpoint for checkpoint in fleet.checkpoints(job_id) if checkpoint.final]
    assert weights_sha256(final.manifest) == unbroken.weights(FAST)
