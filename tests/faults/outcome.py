"""Invariants of a job's end after any fault."""

from pathlib import Path
from uuid import UUID

from store.ids import encode
from store.tables import Job
from tests.faults.conftest import Fleet, Unbroken, weights_sha256
from worker.processes import group_members


def assert_right_end(fleet: Fleet, job_id: UUID, unbroken: Unbroken | None) -> Job:
    """Wait for the job's success: every step counts once, the log has no gap, nothing is left.

    `unbroken`: the run whose final weights it must equal; None: the trainer writes none.
    """
    job = fleet.finished(job_id)
    assert job.status == "succeeded", f"{job.status_reason}: {job.error}\n{fleet.logs()}"
    _assert_one_end(fleet, job)
    _assert_attempts_over(fleet, job)
    _assert_log_whole(fleet, job)
    if unbroken is not None:
        # Two, where an attempt was lost between its last checkpoint and its end.
        finals = [checkpoint for checkpoint in fleet.checkpoints(job_id) if checkpoint.final]
        assert {final.step for final in finals} == {job.total_steps}
        weights = {weights_sha256(final.manifest) for final in finals}
        assert weights == {unbroken.weights(job.spec)}
    return job


def _assert_one_end(fleet: Fleet, job: Job) -> None:
    """Assert that every change of status has a reason, and only the last is an end."""
    changes = [r.payload for r in fleet.records(job.id, superseded=True) if r.kind == "status"]
    assert all(change["reason"] for change in changes)
    said = [change["status"] for change in changes]
    assert said.count("succeeded") == 1, said
    assert said[-1] == "succeeded", said
    assert not {"failed", "cancelled"} & set(said), said


def _assert_attempts_over(fleet: Fleet, job: Job) -> None:
    """Assert that no lease, open attempt or process is left."""
    assert job.lease_expires_at is None
    attempts = fleet.attempts(job.id)
    assert [attempt.number for attempt in attempts] == list(range(1, job.attempt + 1))
    assert all(attempt.ended_at for attempt in attempts)
    assert [a.number for a in attempts if a.pid is not None and group_members(a.pid)] == []
    assert _naming(fleet.settings.runs_dir / encode("job", job.id)) == []


def _assert_log_whole(fleet: Fleet, job: Job) -> None:
    seqs = [record.seq for record in fleet.records(job.id, superseded=True)]
    assert seqs == list(range(1, job.last_seq + 1))
    steps = [record.step for record in fleet.records(job.id) if record.kind == "metric"]
    assert steps == list(range(1, job.step + 1))


def _naming(folder: Path) -> list[str]:
    """Return the commands of running processes that name this folder."""
    commands = [_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [command for command in commands if str(folder) in command]


def _command(path: Path) -> str:
    try:
        return path.read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has just ended
