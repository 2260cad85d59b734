"""An unusable artifact store is reported when a process starts, not when a job needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from duet.local.services.process import free_port
from tests.s3 import S3Server
from tests.service.duet_process import environment
from tests.waiting import deadline

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"


def started(module: str, artifacts_url: str) -> subprocess.CompletedProcess[str]:
    """Run a process that ends by itself, and return its output."""
    addresses = {
        "DATABASE_URL": NOWHERE,
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "ARTIFACTS_URL": artifacts_url,
    }
    return subprocess.run(
        [sys.executable, "-m", module],
        env=environment(**addresses),
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=False,
    )


@pytest.mark.parametrize("module", ["api", "worker"])
def test_a_bucket_that_is_not_there_ends_the_process(s3: S3Server, module: str):
    assert not s3.line.is_cut
    done = started(module, "s3://another-bucket/duet")
    assert done.returncode == 1
    assert "s3://another-bucket/duet: NoSuchBucket" in done.stderr
    assert "ARTIFACTS_URL and the AWS_... variables" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["api", "worker"])
def test_a_folder_that_cannot_be_made_ends_the_process(tmp_path: Path, module: str):
    (tmp_path / "file").touch()
    done = started(module, (tmp_path / "file" / "artifacts").as_uri())
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
