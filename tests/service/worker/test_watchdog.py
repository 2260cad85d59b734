"""A trainer without progress is killed; its job is retried."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from store.jobs import attempts
from store.jobs.outcomes import Failed
from store.log.log import Entry
from store.settings import Settings
from store.tables import Attempt
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until
from worker.attempt.outcome import Ending, outcome_of
from worker.attempt.watchdog import Watchdog
from worker.processes import group_members, started_at


def record(kind: str, step: int = 1, **payload: str) -> Entry:
    return Entry(n=1, kind=kind, step=step, at=datetime(2026, 1, 1, tzinfo=UTC), payload=payload)


def test_silence_is_a_stall_after_the_least_time_and_twenty_usual_steps():
    watchdog = Watchdog(least_seconds=100, begun_at=1000)
    assert watchdog.stalled(1100) is None
    assert watchdog.stalled(1101) == (
        "the trainer made no progress for 101 s: before its first record"
    )
    watchdog.note(record("phase", phase="training"), 1050)
    for at in (1060, 1070, 1080, 1150):  # steps of 10, 10 and 70 s: usually 10
        watchdog.note(record("metric"), at)
    assert watchdog.patience_seconds == 200
    assert watchdog.stalled(1350) is None
    assert watchdog.stalled(1351) == (
        "the trainer made no progress for 201 s: in phase 'training', step 1"
    )


@pytest.mark.parametrize(
    ("kind", "progress"),
    [("eval", True), ("checkpoint", True), ("phase", True), ("message", False), ("sample", False)],
)
def test_only_what_gets_the_run_on_is_progress(kind: str, progress: bool):
    watchdog = Watchdog(least_seconds=100, begun_at=0)
    watchdog.note(record(kind, phase="saving"), 90)
    assert (watchdog.stalled(150) is None) == progress


def test_the_trainers_own_end_record_wins_over_the_stall():
    assert isinstance(outcome_of(Ending(None, -9, True, stalled="no progress")), Failed)
    said = outcome_of(Ending({"outcome": "completed"}, -9, True, stalled="no progress"))
    assert not isinstance(said, Failed)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stall_seconds": 1})


def attempt_of(desk: Desk, job_id: UUID) -> Attempt:
    with desk.context.database.session() as session:
        (attempt,) = attempts.list_attempts(session, job_id)
    return attempt


@pytest.mark.parametrize("stall", ["hang", "deaf", "freeze", "chatter"])
def test_a_stalled_trainer_is_killed_with_all_its_children_and_its_job_is_retried(
    desk: Desk, stall: str
):
    job_id = desk.submit(f"phase step save spawn {stall}")
    claim, thread = desk.start()
    wait_until(lambda: attempt_of(desk, job_id).pid)
    pid = attempt_of(desk, job_id).pid
    assert pid is not None
    thread.join(deadline(20))
    assert not thread.is_alive()
    assert group_members(pid) == []
    assert started_at(int((desk.folder(claim) / "helper").read_text())) is None

    job, attempt = desk.job(job_id), attempt_of(desk, job_id)
    assert (job.status, job.failures) == ("queued", 1)
    assert attempt.error is not None
    assert attempt.error["code"] == "stalled"
    assert "in phase 'training', step 0" in attempt.error["message"]
    assert "DUET_STALL_SECONDS" in attempt.error["hint"]
    assert "made no progress for" in job.status_reason
