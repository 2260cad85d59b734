"""Ends of a worker: saving, killing its trainers, or once it runs nothing."""

import signal
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from duet.local.services.process import free_port
from store import workers
from store.ids import encode
from store.settings import Settings
from store.tables import Worker
from tests.faults.conftest import Fleet, WorkerProcess
from worker.processes import group_members, started_at

SCRIPTED = Path(__file__).parents[1] / "service" / "worker" / "scripted_worker.py"
HURRY_SECONDS = 10
"""Limit far below the grace period, which a trainer that is only asked to end would take."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"grace_seconds": 3600, "lease_seconds": 30})


def submit(fleet: Fleet, script: str) -> UUID:
    return fleet.submit({"labels": {"script": script}})


def folder(fleet: Fleet, job_id: UUID) -> Path:
    return fleet.settings.runs_dir / encode("job", job_id) / "attempt-0001"


def begun(fleet: Fleet, job_id: UUID, name: str) -> Path:
    """Wait for a file in the attempt's folder and return the folder."""
    fleet.wait_until(lambda: (folder(fleet, job_id) / name).exists())
    return folder(fleet, job_id)


def the_worker(fleet: Fleet) -> Worker:
    fleet.wait_until(lambda: listed(fleet))
    [worker] = listed(fleet)
    return worker


def listed(fleet: Fleet) -> list[Worker]:
    with fleet.database.session() as session:
        return workers.list_workers(session)


def assert_given_back(fleet: Fleet, worker: WorkerProcess, job_id: UUID, trainer: int) -> None:
    """Assert that the worker ends, its job is queued without a failure, and no process is left."""
    assert worker.wait(seconds=HURRY_SECONDS) == 0, fleet.logs()
    assert group_members(trainer) == []
    job = fleet.job(job_id)
    assert (job.status, job.failures, job.lease_expires_at) == ("queued", 0, None)
    assert job.status_reason == "its worker stopped"
    [attempt] = fleet.attempts(job_id)
    assert (attempt.outcome, attempt.exit_signal) == ("stopped", signal.SIGKILL)
    assert listed(fleet) == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([signal.SIGTERM, signal.SIGTERM], id="SIGTERM twice"),
        pytest.param([signal.SIGINT, signal.SIGINT], id="Ctrl-C twice", marks=pytest.mark.nightly),
        pytest.param(
            [signal.SIGTERM, signal.SIGQUIT], id="SIGTERM, SIGQUIT", marks=pytest.mark.nightly
        ),
    ],
)
def test_a_second_signal_kills_the_trainer_with_its_children_and_releases_the_job_at_once(
    fleet: Fleet, sent: Sequence[signal.Signals]
):
    worker = fleet.start_worker(script=SCRIPTED)
    job_id = submit(fleet, "step save spawn deaf")
    run = begun(fleet, job_id, "hangs")
    trainer, helper = fleet.trainer(job_id), int((run / "helper").read_text())
    assert helper in group_members(trainer)
    fleet.wait_until(lambda: fleet.checkpoints(job_id))
    worker.send(sent[0])
    begun(fleet, job_id, "heard")  # it was asked to save, and does not answer
    assert fleet.job(job_id).status == "running"
    worker.send(sent[1])
    assert_given_back(fleet, worker, job_id, trainer)
    assert started_at(helper) is None
    assert [checkpoint.step for checkpoint in fleet.checkpoints(job_id)] == [1]


def test_sigquit_skips_saving_from_the_start_with_or_without_redis(fleet: Fleet):
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    fleet.settings = fleet.settings.model_copy(update={"redis_url": nobody})
    worker = fleet.start_worker(script=SCRIPTED)
    job_id = submit(fleet, "step spawn deaf")
    begun(fleet, job_id, "hangs")
    trainer = fleet.trainer(job_id)
    worker.send(signal.SIGQUIT)
    assert_given_back(fleet, worker, job_id, trainer)


def test_after_a_second_signal_a_worker_waits_for_no_upload_and_the_job_is_not_complete(
    fleet: Fleet,
):
    worker = fleet.start_worker(script=SCRIPTED)
    job_id = submit(fleet, "step clog")
    fleet.wait_until(lambda: any(record.kind == "end" for record in fleet.records(job_id)))
    worker.send(signal.SIGTERM)
    fleet.wait_until(lambda: "worker_stopping" in worker.log.read_text())
    worker.send(signal.SIGTERM)
    assert worker.wait(seconds=HURRY_SECONDS) == 0, fleet.logs()
    job = fleet.job(job_id)
    assert (job.status, job.failures) == ("queued", 0)


def test_sigusr1_lets_a_worker_finish_what_it_runs_take_no_more_and_end(fleet: Fleet):
    worker = fleet.start_worker(script=SCRIPTED)
    first = submit(fleet, "step gate complete")
    run = begun(fleet, first, "records.jsonl")
    worker.send(signal.SIGUSR1)
    fleet.wait_until(lambda: the_worker(fleet).draining_at)
    second = submit(fleet, "step complete")
    (run / "open").touch()
    assert worker.wait(seconds=30) == 0, fleet.logs()
    assert fleet.job(first).status == "succeeded"
    waiting = fleet.job(second)
    assert (waiting.status, waiting.attempt) == ("queued", 0)
    assert listed(fleet) == []


def test_a_drained_worker_stays_until_it_is_told_to_leave(fleet: Fleet):
    worker = fleet.start_worker(script=SCRIPTED)
    worker_id = the_worker(fleet).id
    with fleet.database.session() as session:
        workers.drain(session, worker_id, leave=False)
    drained = submit(fleet, "step complete")
    fleet.wait_until(lambda: "worker_drains" in worker.log.read_text())
    with fleet.database.session() as session:
        workers.undrain(session, worker_id)
    assert fleet.finished(drained).status == "succeeded"
    with fleet.database.session() as session:
        workers.drain(session, worker_id, leave=True)
    assert worker.wait(seconds=30) == 0, fleet.logs()
