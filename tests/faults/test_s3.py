"""Real training with its checkpoints on S3: killed, resumed from there, and downloaded."""

import hashlib
import os
import signal
from pathlib import Path

import pytest

from duet import Client
from store.database.database import Database
from store.ids import encode
from store.settings import Settings
from tests.faults.conftest import FAST, STEPS, Fleet, Unbroken, weights_sha256
from tests.s3 import BUCKET, S3Server
from tests.service.api.conftest import make_key, serving


@pytest.fixture
def settings(settings: Settings, s3: S3Server) -> Settings:
    return settings.model_copy(update={"artifacts_url": f"s3://{BUCKET}/duet"})


@pytest.mark.nightly
def test_a_killed_run_resumes_from_s3_and_is_downloaded_as_trained(
    fleet: Fleet, unbroken: Unbroken, settings: Settings, database: Database, tmp_path: Path
):
    fleet.start_worker()
    job_id = fleet.submit(FAST)
    fleet.wait_until(lambda: fleet.checkpoints(job_id))
    os.kill(fleet.trainer(job_id), signal.SIGKILL)
    job = fleet.finished(job_id)
    assert (job.status, job.attempt) == ("succeeded", 2), fleet.logs()
    resumed_from = fleet.attempts(job_id)[1].resumed_from_step
    assert resumed_from is not None
    assert 0 < resumed_from < STEPS
    assert not list(settings.runs_dir.rglob("inputs"))
    (final,) = [one for one in fleet.checkpoints(job_id) if one.final]
    assert weights_sha256(final.manifest) == unbroken.weights(FAST)

    key = make_key(database, "default", "read")
    with serving(settings) as url, Client(url, key) as duet:
        duet.checkpoints.download(encode("ckpt", final.id), tmp_path / "downloaded")
    for file in final.manifest["files"]:
        written = (tmp_path / "downloaded" / file["path"]).read_bytes()
        assert hashlib.sha256(written).hexdigest() == file["sha256"]
