"""A worker whose clock is wrong by a day: no relevant time comes from it.

Not the machine's clock is wrong, which others use, but that of one worker's processes
(wrong_clock.c).  So the times that a disk gives to files are right here; on a machine that is
wrong as a whole they are wrong like the rest, and only their differences are used.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from api.wake_ups import WakeUps
from store.ids import encode
from store.settings import Settings
from store.tables import Job, ReaperRun
from tests.faults.conftest import FAST, Fleet, Unbroken, WorkerProcess
from tests.faults.outcome import assert_right_end

PROGRAM = Path(__file__).with_name("wrong_clock_process.py")
SCRIPTED = Path(__file__).parents[1] / "service" / "worker" / "scripted_worker.py"
DAY_SECONDS = 86_400

both_ways = pytest.mark.parametrize(
    "wrong_seconds",
    [
        pytest.param(DAY_SECONDS, id="a day ahead"),
        pytest.param(-DAY_SECONDS, id="a day behind", marks=pytest.mark.nightly),
    ],
)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    assert compiler, "a wrong clock is made by a C compiler: install gcc"
    path = tmp_path_factory.mktemp("clock") / "wrong_clock.so"
    source = Path(__file__).with_name("wrong_clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O", "-o", path, source], check=True)
    return path


def start_wrong(fleet: Fleet, library: Path, seconds: int, *program: str) -> WorkerProcess:
    arguments = [str(library), str(seconds), *program]
    worker = fleet.start_worker(script=PROGRAM, arguments=arguments)
    fleet.wait_until(lambda: "worker_registered" in worker.log.read_text())
    return worker


def test_the_clock_is_wrong_for_python_for_rust_and_for_children(library: Path):
    code = (
        "import subprocess, sys, time; from datetime import datetime, UTC;"
        "from store.ids import made_at, new_id;"
        "print(time.time(), datetime.now(UTC).timestamp(), made_at(new_id()).timestamp(),"
        " subprocess.check_output(['date', '+%s'], text=True))"
    )
    command = [sys.executable, str(PROGRAM), str(library), str(DAY_SECONDS), "-c", code]
    said = subprocess.check_output(command, env={**os.environ, "PYTHONPATH": "."}, text=True)
    ahead = [float(at) - datetime.now(UTC).timestamp() for at in said.split()]
    assert len(ahead) == 4
    assert all(abs(seconds - DAY_SECONDS) < 60 for seconds in ahead)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"runs_keep_days": 0.5, "retry_seconds": 1})


@pytest.mark.nightly
@both_ways
def test_a_worker_with_a_wrong_clock_takes_over_a_job_and_every_time_is_right(
    fleet: Fleet, unbroken: Unbroken, library: Path, wrong_seconds: int
):
    """The worker runs a job of its own and takes over one of a killed worker with a right clock."""
    now = datetime.now(UTC)
    past, future = [(now + timedelta(hours=hours)).isoformat() for hours in (-1, 1)]
    right = fleet.start_worker()
    start_wrong(fleet, library, wrong_seconds, "-m", "worker")
    not_due = fleet.submit({**FAST, "resources": {"not_before": future, "priority": 9}})
    due = {**FAST, "checkpoints": {"every_steps": 4, "keep_last": 10}}
    job_ids = {fleet.submit({**due, "resources": {"not_before": past}}) for _ in range(2)}
    [taken] = [id for id in job_ids if parent(fleet.trainer(id)) == right.process.pid]
    [own] = job_ids - {taken}
    fleet.wait_until(lambda: fleet.checkpoints(taken))
    assert timedelta() < lease_left(fleet, own) <= timedelta(seconds=fleet.settings.lease_seconds)
    right.send(signal.SIGKILL)
    right.wait()

    for job_id in (own, taken):
        assert_times_right(fleet, assert_right_end(fleet, job_id, unbroken))
        steps = [checkpoint.step for checkpoint in fleet.checkpoints(job_id)]
        assert steps == [4, 8, 12, 16, 20, 24]
    assert abs(first_said_at(fleet, own) - now).total_seconds() > DAY_SECONDS / 2
    assert [attempt.outcome for attempt in fleet.attempts(own)] == ["completed"]
    lost, completed = fleet.attempts(taken)
    assert (lost.outcome, completed.outcome) == ("lost", "completed")
    assert lost.ended_at is not None
    assert completed.started_at >= lost.ended_at + timedelta(seconds=1)  # the backoff
    assert (fleet.job(not_due).status, fleet.job(not_due).attempt) == ("queued", 0)
    wait_for_reaper(fleet, 2)  # and with each of them it tidies
    assert all((fleet.settings.runs_dir / encode("job", id)).is_dir() for id in job_ids)


@both_ways
def test_a_worker_with_a_wrong_clock_receives_wake_ups(
    fleet: Fleet, library: Path, wrong_seconds: int
):
    update = {"poll_seconds": 600, "reaper_seconds": 600}  # so that it is told or does not know
    fleet.settings = fleet.settings.model_copy(update=update)
    start_wrong(fleet, library, wrong_seconds, str(SCRIPTED))
    job_id = fleet.submit({"labels": {"script": "step complete"}})
    with closing(WakeUps(fleet.settings.redis_url)) as wake_ups:
        wake_ups.send()
    fleet.wait_until(lambda: fleet.job(job_id).status == "succeeded", seconds=30)


def assert_times_right(fleet: Fleet, job: Job) -> None:
    """Assert that each record's time is within its attempt."""
    records = fleet.records(job.id, superseded=True)
    for attempt in fleet.attempts(job.id):
        times = [record.at for record in records if record.attempt == attempt.number]
        assert attempt.ended_at is not None
        assert attempt.started_at <= min(times)
        assert max(times) <= attempt.ended_at


def first_said_at(fleet: Fleet, job_id: UUID) -> datetime:
    """Return the times by the trainer's clock."""
    run = fleet.settings.runs_dir / encode("job", job_id) / "attempt-0001"
    with (run / "records.jsonl").open() as records:
        return datetime.fromisoformat(json.loads(next(records))["at"])


def lease_left(fleet: Fleet, job_id: UUID) -> timedelta:
    with fleet.database.session() as session:
        left = select(Job.lease_expires_at - func.now()).where(Job.id == job_id)
        return session.execute(left).scalar_one()


def wait_for_reaper(fleet: Fleet, count: int) -> None:
    for _ in range(count):
        before = last_reaper_run(fleet)
        fleet.wait_until(lambda before=before: last_reaper_run(fleet) > before)


def last_reaper_run(fleet: Fleet) -> datetime:
    with fleet.database.session() as session:
        return session.scalars(select(ReaperRun.last_run_at)).one()


def parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
