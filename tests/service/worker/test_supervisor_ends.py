"""Attempts that are cancelled, killed, stopped or lost: a real store, a scripted trainer."""

import signal
import subprocess

import pytest

from store.jobs import leases
from store.jobs.outcomes import ExitInfo, Lost, Stopped
from store.settings import Settings
from tests.service.worker.attempt_records import attempt_of, checkpoints_of
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until
from worker.processes import group_members, started_at


def test_cancel_lets_the_trainer_save(desk: Desk):
    desk.submit("step hang")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    desk.cancel(claim.job_id, kill=False)
    thread.join(deadline(20))
    job = desk.job(claim.job_id)
    assert job.status == "cancelled"
    assert [checkpoint.step for checkpoint in checkpoints_of(desk, job)] == [1]


def test_kill_ends_the_trainer_and_its_children_and_saves_nothing(desk: Desk):
    desk.submit("step spawn hang")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    wait_until(lambda: attempt_of(desk, desk.job(claim.job_id)).pid)
    pid = attempt_of(desk, desk.job(claim.job_id)).pid
    helper = int((desk.folder(claim) / "helper").read_text())
    assert pid is not None
    assert helper in group_members(pid)
    desk.cancel(claim.job_id, kill=True)
    thread.join(deadline(20))
    job = desk.job(claim.job_id)
    assert job.status == "cancelled"
    assert group_members(pid) == []
    assert started_at(helper) is None
    assert checkpoints_of(desk, job) == []


def test_a_trainer_that_ends_leaves_no_child_process(desk: Desk):
    desk.submit("step spawn complete")
    claim, thread = desk.start()
    thread.join(deadline(20))
    assert desk.job(claim.job_id).status == "succeeded"
    assert started_at(int((desk.folder(claim) / "helper").read_text())) is None


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"grace_seconds": 0.5})


def test_a_trainer_that_ignores_sigterm_is_killed_after_the_grace_period(desk: Desk):
    desk.submit("step deaf")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    desk.cancel(claim.job_id, kill=False)
    thread.join(deadline(20))
    job = desk.job(claim.job_id)
    assert job.status == "cancelled"
    assert attempt_of(desk, job).exit_signal == 9


def test_a_worker_that_stops_gives_the_job_back_with_a_checkpoint(desk: Desk):
    desk.submit("step hang")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    desk.context.stopping.set()
    thread.join(deadline(20))
    job = desk.job(claim.job_id)
    assert (job.status, job.failures) == ("queued", 0)
    assert [checkpoint.step for checkpoint in checkpoints_of(desk, job)] == [1]


def test_a_lost_lease_ends_the_trainer_and_writes_nothing_more(desk: Desk):
    desk.submit("step spawn hang")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    wait_until(lambda: any(record.kind == "metric" for record in desk.records(claim.job_id)))
    with desk.context.database.session() as session:
        leases.finish(session, claim.job_id, claim.attempt, Stopped(), ExitInfo())
    before = desk.records(claim.job_id)
    thread.join(deadline(20))
    assert not thread.is_alive()
    assert started_at(int((desk.folder(claim) / "helper").read_text())) is None
    job = desk.job(claim.job_id)
    assert job.status == "queued"
    assert [record.seq for record in desk.records(job.id)] == [record.seq for record in before]
    assert checkpoints_of(desk, job) == []


def test_processes_of_a_lost_attempt_on_this_machine_are_ended_before_the_next_one(desk: Desk):
    """Trainer of a killed worker that did not end."""
    job_id = desk.submit("step complete")
    claim = desk.claim()
    left = subprocess.Popen(["sleep", "600"], process_group=0)
    started = started_at(left.pid)
    assert started is not None
    with desk.context.database.session() as session:
        leases.record_process(
            session, job_id, claim.attempt, pid=left.pid, process_started_at=started
        )
    with desk.context.database.session() as session:
        leases.finish(session, job_id, claim.attempt, Lost({"message": "silent"}), ExitInfo())
    assert desk.run().status == "succeeded"
    assert left.wait(deadline(20)) == -signal.SIGKILL
