"""SIGSTOP of a worker about to write, SIGCONT once another has its job: nothing is written."""

import signal
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults.conftest import FAST, Fleet, Unbroken, WorkerProcess
from tests.faults.outcome import assert_right_end
from worker.processes import group_members

SCRIPT = Path(__file__).with_name("freezing_worker.py")
TWELVE_STEPS = {**FAST, "budget": {"max_steps": 12}}
LONG = pytest.mark.nightly


def is_stopped(worker: WorkerProcess) -> bool:
    stat = Path(f"/proc/{worker.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def written_by_first(fleet: Fleet, job_id: UUID) -> list[int]:
    """Return the `seq` of each record of the first attempt."""
    return [r.seq for r in fleet.records(job_id, superseded=True) if r.attempt == 1]


def test_the_trainer_of_a_worker_stopped_past_its_lease_ends_itself(fleet: Fleet):
    endless = {**FAST, "budget": {"max_steps": 100_000, "epochs": 10_000}}
    zombie = fleet.start_worker()
    job_id = fleet.submit(endless)
    fleet.wait_until(lambda: fleet.job(job_id).step >= 1)
    trainer = fleet.trainer(job_id)
    zombie.send(signal.SIGSTOP)
    # Nobody else is there to end it.
    fleet.wait_until(lambda: not group_members(trainer), seconds=fleet.settings.lease_seconds)
    fleet.cancel(job_id, kill=True)
    zombie.send(signal.SIGCONT)
    assert fleet.finished(job_id).status == "cancelled"


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("before a record", marks=LONG),
        pytest.param("before a checkpoint"),
        pytest.param("before a state", marks=LONG),
        pytest.param("in a transaction", marks=LONG),
    ],
)
def test_a_worker_stopped_past_its_lease_has_no_child_and_writes_nothing(
    fleet: Fleet, unbroken: Unbroken, point: str
):
    zombie = fleet.start_worker(script=SCRIPT, arguments=[point])
    job_id = fleet.submit(TWELVE_STEPS)
    fleet.wait_until(lambda: is_stopped(zombie))
    fleet.start_worker()
    fleet.trainer(job_id, attempt=2)
    assert group_members(fleet.trainer(job_id)) == []
    written = written_by_first(fleet, job_id)
    zombie.send(signal.SIGCONT)
    fleet.wait_until(lambda: "lease_lost" in zombie.log.read_text(), seconds=30)
    assert "attempt_broke" not in zombie.log.read_text(), fleet.logs()

    job = assert_right_end(fleet, job_id, unbroken)
    lost, completed = fleet.attempts(job_id)
    assert (lost.outcome, completed.outcome) == ("lost", "completed")
    assert written_by_first(fleet, job_id) == written
    assert job.worker_id is None
    zombie.send(signal.SIGTERM)
    assert zombie.wait() == 0, fleet.logs()
