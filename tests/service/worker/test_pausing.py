"""A worker's handling of a pause, and of one that is taken back."""

import signal
from uuid import UUID

import pytest

from store.jobs import attempts, checkpoints, transitions
from store.settings import Settings
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until
from worker.processes import group_members


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"grace_seconds": 1.0})


def pause(desk: Desk, job_id: UUID) -> None:
    with desk.context.database.session() as session:
        transitions.pause(session, desk.project.id, job_id, reason="a test")


def resume(desk: Desk, job_id: UUID) -> None:
    with desk.context.database.session() as session:
        transitions.resume(session, desk.project.id, job_id, reason="a test")


def test_a_paused_trainer_saves_and_ends_and_the_job_resumes_from_there(desk: Desk):
    desk.submit("step hang")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    pause(desk, claim.job_id)
    thread.join(deadline(20))
    assert desk.job(claim.job_id).status == "paused"
    with desk.context.database.session() as session:
        assert [c.step for c in checkpoints.list_checkpoints(session, claim.job_id)] == [1]
    resume(desk, claim.job_id)
    again = desk.claim()
    assert again.resume is not None
    assert (again.attempt, again.resume.step) == (2, 1)


def test_a_trainer_that_ignores_a_pause_is_killed_even_if_the_pause_is_taken_back(desk: Desk):
    desk.submit("step deaf")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    pause(desk, claim.job_id)
    wait_until(lambda: (desk.folder(claim) / "heard").exists())
    resume(desk, claim.job_id)
    thread.join(deadline(20))
    assert not thread.is_alive()
    assert desk.job(claim.job_id).status == "queued"
    with desk.context.database.session() as session:
        (attempt,) = attempts.list_attempts(session, claim.job_id)
    assert attempt.exit_signal == signal.SIGKILL
    assert attempt.pid is not None
    assert not group_members(attempt.pid)


def test_a_trainer_whose_steps_are_long_has_the_time_to_save(desk: Desk):
    """The setting's grace is one second: a kill would cost the steps since the last checkpoint."""
    desk.submit("slow_step slow")
    claim, thread = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    wait_until(lambda: desk.job(claim.job_id).step == 1)
    pause(desk, claim.job_id)
    thread.join(deadline(20))
    assert desk.job(claim.job_id).status == "paused"
    with desk.context.database.session() as session:
        assert [c.step for c in checkpoints.list_checkpoints(session, claim.job_id)] == [1]
