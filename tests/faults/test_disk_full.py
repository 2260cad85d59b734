"""A full disk costs attempts and time, but not the job or its exact result."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.artifacts.folder import FolderArtifacts
from store.settings import Settings
from tests.faults.conftest import FAST, Fleet, Unbroken, weights_sha256
from tests.small_disk import SmallDisk, small_disk

TOO_SMALL, ENOUGH = 8_000_000, 400_000_000  # a checkpoint of the built-in policy has 15 MB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", TOO_SMALL) as made:
        yield made


@pytest.fixture(params=["runs_dir", "artifacts_url"])
def settings(request: pytest.FixtureRequest, settings: Settings, disk: SmallDisk) -> Settings:
    full = {"runs_dir": disk.folder, "artifacts_url": disk.folder.as_uri()}[request.param]
    return settings.model_copy(update={request.param: full})


@pytest.mark.nightly
def test_a_full_disk_is_reported_and_recovered_from(
    fleet: Fleet, unbroken: Unbroken, disk: SmallDisk
):
    fleet.start_worker()
    job_id = fleet.submit({**FAST, "resources": {"max_failures": 100}})
    fleet.wait_until(lambda: any(attempt.ended_at for attempt in fleet.attempts(job_id)))
    error = fleet.attempts(job_id)[0].error
    assert error is not None
    assert error["code"] == "disk_full", fleet.logs()
    assert fleet.checkpoints(job_id) == []
    disk.grow(ENOUGH)

    job = fleet.finished(job_id)
    assert job.status == "succeeded", fleet.logs()
    artifacts = FolderArtifacts(fleet.settings.artifacts_url)
    for checkpoint in fleet.checkpoints(job_id):
        artifacts.verify(checkpoint.key, checkpoint.manifest)
    (final,) = [checkpoint for checkpoint in fleet.checkpoints(job_id) if checkpoint.final]
    assert weights_sha256(final.manifest) == unbroken.weights(FAST)
