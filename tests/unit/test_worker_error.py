"""The error of a job whose worker failed."""

import errno

import pytest
from psycopg import OperationalError

from worker.attempt.outcome import failed_by


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/canary/runs/job"), "worker_error"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/canary"), "worker_error"),
        (OperationalError('connection to server at "canary.internal" failed'), "worker_error"),
        (ValueError("http://me:canary@proxy"), "worker_error"),
        (OSError(errno.ENOSPC, "No space left on device", "/canary/runs"), "disk_full"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_jobs_error_holds_no_path_or_address_of_its_worker(error: Exception, code: str):
    found = failed_by(error).error
    assert found["code"] == code
    assert "canary" not in str(found)
