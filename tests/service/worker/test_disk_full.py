"""Full disks: reported, nothing incomplete is registered, and the job continues with free space."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.ids import encode
from store.jobs import attempts, checkpoints
from store.settings import Settings
from store.tables import Attempt, Checkpoint, Job
from tests.service.worker.conftest import Desk
from tests.small_disk import SmallDisk, small_disk

NUM_BYTES = 1_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", NUM_BYTES) as made:
        yield made


def attempts_of(desk: Desk, job: Job) -> list[Attempt]:
    with desk.context.database.session() as session:
        return attempts.list_attempts(session, job.id)


def checkpoints_of(desk: Desk, job: Job) -> list[Checkpoint]:
    with desk.context.database.session() as session:
        return checkpoints.list_checkpoints(session, job.id)


def assert_disk_full(desk: Desk, job: Job) -> None:
    assert (job.status, job.failures) == ("queued", 0)
    (attempt,) = attempts_of(desk, job)
    assert attempt.error is not None
    assert attempt.error["code"] == "disk_full"
    assert attempt.error["hint"]


class TestArtifactStore:
    @pytest.fixture
    def settings(self, settings: Settings, disk: SmallDisk) -> Settings:
        return settings.model_copy(update={"artifacts_url": disk.folder.as_uri()})

    def test_a_checkpoint_that_does_not_fit_is_not_there_at_all(self, desk: Desk, disk: SmallDisk):
        desk.submit("step save hang", name="too large")
        disk.fill()
        job = desk.run()
        assert_disk_full(desk, job)
        assert checkpoints_of(desk, job) == []
        left = {path.name for path in disk.folder.rglob("*")} - {"filler"}
        assert left <= {"jobs", encode("job", job.id), "attempt-1"}

    def test_with_free_space_the_next_attempt_succeeds(self, desk: Desk, disk: SmallDisk):
        desk.submit("step save step complete")
        disk.fill()
        desk.run()
        disk.empty()
        job = desk.run()
        assert job.status == "succeeded"
        for checkpoint in checkpoints_of(desk, job):
            desk.context.artifacts.verify(checkpoint.key, checkpoint.manifest)


class TestRunDirectory:
    @pytest.fixture
    def settings(self, settings: Settings, disk: SmallDisk) -> Settings:
        return settings.model_copy(update={"runs_dir": disk.folder})

    def test_a_trainer_that_could_not_write_its_end_record_counts_as_disk_full(self, desk: Desk):
        desk.submit("step fill step complete")
        job = desk.run()
        assert_disk_full(desk, job)
        assert "run directories" in job.status_reason

    def test_an_attempt_that_cannot_start_reports_the_reason(self, desk: Desk, disk: SmallDisk):
        desk.submit("step complete")
        disk.fill()
        assert_disk_full(desk, desk.run())
        disk.empty()
        assert desk.run().status == "succeeded"
