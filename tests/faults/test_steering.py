"""Cancels, kills, failures and shutdowns of real workers with real trainers."""

import json
import signal
from pathlib import Path
from uuid import UUID

import pytest

from store.ids import encode, new_id
from store.tables import Job
from tests.faults.conftest import FAST, STEPS, Fleet
from worker.celery_app import make_app
from worker.processes import group_members
from worker.wake_up import send_wake_up

LONG = {**FAST, "budget": {"max_steps": 100_000, "epochs": 10_000}}


def test_sigterm_releases_the_job_with_a_checkpoint_and_another_worker_completes_it(fleet: Fleet):
    first = fleet.start_worker()
    job_id = fleet.submit(FAST)
    fleet.wait_until(lambda: fleet.job(job_id).step >= 2)
    trainer = fleet.trainer(job_id)
    first.send(signal.SIGTERM)
    assert first.wait(seconds=20) == 0
    job = fleet.job(job_id)
    assert (job.status, job.failures) == ("queued", 0), fleet.logs()
    assert not group_members(trainer)
    saved = max(checkpoint.step for checkpoint in fleet.checkpoints(job_id))
    assert saved >= 2

    fleet.start_worker()
    job = fleet.finished(job_id)
    assert job.status == "succeeded", fleet.logs()
    assert (job.attempt, job.failures) == (2, 0)
    assert fleet.attempts(job_id)[1].resumed_from_step == saved
    steps = [record.step for record in fleet.records(job_id) if record.kind == "metric"]
    assert steps == list(range(1, STEPS + 1))


@pytest.mark.nightly
def test_cancel_saves_and_kill_does_not_and_neither_leaves_a_process(fleet: Fleet):
    fleet.start_worker()
    cancelled, killed = (
        fleet.submit(LONG),
        fleet.submit({**LONG, "checkpoints": {"every_steps": 9999}}),
    )

    fleet.wait_until(lambda: fleet.job(cancelled).step >= 1)
    trainer = fleet.trainer(cancelled)
    fleet.cancel(cancelled, kill=False)
    job = fleet.finished(cancelled)
    assert job.status == "cancelled"
    assert max(checkpoint.step for checkpoint in fleet.checkpoints(cancelled)) == job.step
    assert not group_members(trainer)

    fleet.wait_until(lambda: fleet.job(killed).step >= 1)
    trainer = fleet.trainer(killed)
    fleet.cancel(killed, kill=True)
    assert fleet.finished(killed).status == "cancelled"
    assert fleet.checkpoints(killed) == []
    assert not group_members(trainer)


def test_a_model_without_weights_fails_the_job_with_a_code_a_hint_and_the_log(
    fleet: Fleet, tmp_path: Path
):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    fleet.start_worker()
    job = fleet.finished(fleet.submit({**FAST, "model": {"source": str(tmp_path / "model")}}))
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "model_unusable"
    assert job.error["hint"]
    assert "Traceback" in job.error["log_tail"]


def do_nothing() -> None:
    """Never called: this app only sends."""


def submit_without_its_model(fleet: Fleet) -> UUID:
    """Submit a job that fails without a trainer, as after its checkpoint's removal."""
    job_id = fleet.submit(FAST)
    with fleet.database.session() as session:
        job = session.get_one(Job, job_id)
        job.spec = {**job.spec, "model": {**job.spec["model"], "source": encode("ckpt", new_id())}}
    return job_id


def test_a_wake_up_starts_a_job_at_once(fleet: Fleet):
    """With polls and the reaper's runs an hour apart, only the message can."""
    rare = {"poll_seconds": 3600, "reaper_seconds": 3600}
    fleet.settings = fleet.settings.model_copy(update=rare)
    app = make_app(fleet.settings.redis_url, work=do_nothing)
    first = submit_without_its_model(fleet)
    fleet.start_worker()
    assert fleet.finished(first).status == "failed"  # the poll at the worker's start

    second = submit_without_its_model(fleet)
    assert send_wake_up(app)
    job = fleet.finished(second)
    assert job.error is not None
    assert job.error["code"] == "input_missing"
