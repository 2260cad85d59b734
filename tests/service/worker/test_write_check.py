"""A worker that cannot write claims no jobs and reports it; the jobs stay queued."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store import gauges, workers
from store.ids import new_id
from store.jobs import jobs, queue_position
from store.settings import Settings
from tests.service.worker.conftest import Desk
from tests.small_disk import SmallDisk, small_disk
from tests.waiting import deadline, wait_until
from worker.claim_loop import ClaimLoop
from worker.context import WorkerContext
from worker.machine.write_check import GROWTH, TRY_SECONDS, WriteCheck
from worker.slots import Slots, slots_for


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 4_000_000) as made:
        yield made


@pytest.mark.parametrize("which", ["runs_dir", "artifacts_url"])
def test_a_full_disk_is_found_and_its_room_too(tmp_path: Path, disk: SmallDisk, which: str):
    runs = disk.folder if which == "runs_dir" else tmp_path / "runs"
    store = disk.folder if which == "artifacts_url" else tmp_path / "artifacts"
    check = WriteCheck(runs, store.as_uri(), new_id())
    assert check.look() is None
    disk.fill()
    assert check.look() is not None
    assert check.problem is not None
    disk.empty()
    assert check.look() is None
    left = [path for path in (*runs.rglob("*"), *store.rglob("*")) if path.is_file()]
    assert left == [], "probes are removed"


@pytest.mark.parametrize("which", ["runs_dir", "artifacts_url"])
def test_a_path_that_is_not_a_folder_is_detected(tmp_path: Path, which: str):
    (tmp_path / "file").write_text("in the way")
    runs = tmp_path / ("file" if which == "runs_dir" else "runs")
    store = tmp_path / ("file" if which == "artifacts_url" else "artifacts")
    found = WriteCheck(runs, store.as_uri(), new_id()).look()
    assert found is not None
    assert found.startswith(("cannot write to its run dir", "cannot write to the artifact store"))


def test_after_a_full_disk_a_job_needs_more_free_space(tmp_path: Path, disk: SmallDisk):
    """A probe file that fits does not imply that a checkpoint does."""
    clock = Clock()
    check = WriteCheck(tmp_path / "runs", disk.folder.as_uri(), new_id(), clock=clock)
    assert check.look() is None
    check.note_full()
    found = check.look()
    assert found is not None
    assert str(disk.folder) in found
    disk.grow(int(4_000_000 * (GROWTH + 1)))
    assert check.look() is None
    check.note_full()
    assert check.look() is not None
    clock.now = TRY_SECONDS + 1
    assert check.look() is None


@contextmanager
def polling(context: WorkerContext) -> Iterator[None]:
    claim_loop = ClaimLoop(context, Slots(slots_for(())))
    thread = threading.Thread(target=claim_loop.poll)
    thread.start()
    try:
        yield
    finally:
        context.stopping.set()
        thread.join(deadline(30))


class TestFullStore:
    @pytest.fixture
    def settings(self, settings: Settings, disk: SmallDisk) -> Settings:
        return settings.model_copy(
            update={"artifacts_url": disk.folder.as_uri(), "poll_seconds": 0.1}
        )

    def test_on_a_full_disk_jobs_wait_without_a_failure_and_continue_with_free_space(
        self, desk: Desk, context: WorkerContext, disk: SmallDisk
    ):
        waiting = [desk.submit("step save step complete") for _ in range(3)]
        disk.fill()
        with polling(context):
            wait_until(lambda: context.writes.problem)
            assert [desk.job(job).attempt for job in waiting] == [0, 0, 0]
            disk.empty()
            wait_until(lambda: all(desk.job(job).status == "succeeded" for job in waiting))
        assert [(desk.job(job).attempt, desk.job(job).failures) for job in waiting] == [(1, 0)] * 3

    def test_a_store_that_fills_during_a_job_costs_an_attempt_but_no_failure(
        self, desk: Desk, context: WorkerContext, disk: SmallDisk
    ):
        desk.submit("step save step complete", resources={"max_failures": 1})
        assert context.writes.look() is None
        disk.fill()
        first = desk.run()  # claimed just before
        assert (first.status, first.failures) == ("queued", 0)
        assert context.writes.look() is not None
        disk.empty()
        assert context.writes.look() is None
        assert desk.run().status == "succeeded"


def test_a_worker_that_cannot_write_is_reported_everywhere(desk: Desk, context: WorkerContext):
    job_id = desk.submit("step complete")
    register = {"host": "h", "boot_id": "b", "pid": 1, "queues": ["default"], "num_gpus": 0}
    with context.database.session() as session:
        workers.register(session, worker_id=context.worker_id, slots=1, **register)
        workers.beat(session, context.worker_id, blocked="the disk of the artifact store is full")
    with context.database.session() as session:
        assert workers.any_blocked(session)
        assert gauges.read(session, lease_seconds=60).workers == {
            "active": 0,
            "draining": 0,
            "blocked": 1,
        }
        job = jobs.get(session, desk.project.id, job_id)
        timelines = jobs.timelines(session, [job])
        place = queue_position.of_jobs(session, [job], timelines)[job_id]
        assert place.waiting_for == (
            "a worker that can run it: the disk of the artifact store is full"
        )
        workers.beat(session, context.worker_id)
        assert not workers.any_blocked(session)
