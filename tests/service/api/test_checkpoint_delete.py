"""Deletion of one checkpoint: removed files, and reasons to keep it."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from store.ids import encode
from store.jobs.outcomes import Failed
from store.settings import Settings
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit

FAILED = Failed({"code": "bad_data", "message": "no rows", "hint": "fix"}, retryable=False)
FILES = {"model.safetensors": b"weights"}
Claims = Callable[[], Hand]


@pytest.fixture
def hand(http: httpx.Client, claims: Claims, tmp_path: Path) -> Hand:
    """A running job with checkpoints of steps 1 and 2."""
    submit(http, checkpoints={"keep_last": 5})
    hand = claims()
    for step in (1, 2):
        hand.step(step)
        hand.checkpoint(step, FILES, tmp_path / str(step))
    return hand


def listed(http: httpx.Client, hand: Hand) -> dict[int, str]:
    found = http.get(f"/v1/jobs/{encode('job', hand.claim.job_id)}/checkpoints").json()["data"]
    return {item["step"]: item["id"] for item in found}


def test_a_checkpoint_is_deleted_with_its_files_except_the_one_its_job_resumes_from(
    http: httpx.Client, hand: Hand, settings: Settings
):
    ids = listed(http, hand)
    refused = http.delete(f"/v1/checkpoints/{ids[2]}")
    assert refused.status_code == 409
    assert "resumes from this checkpoint" in refused.json()["detail"]
    assert http.delete(f"/v1/checkpoints/{ids[1]}").status_code == 204
    assert listed(http, hand).keys() == {2}
    assert http.get(f"/v1/checkpoints/{ids[1]}").status_code == 404
    assert http.delete(f"/v1/checkpoints/{ids[1]}").status_code == 404
    folder = Path(settings.artifacts_url.removeprefix("file://")) / hand.folder
    assert not (folder / "step-1").exists()
    assert (folder / "step-2" / "model.safetensors").read_bytes() == b"weights"

    hand.finish(FAILED)
    assert http.delete(f"/v1/checkpoints/{ids[2]}").status_code == 204
    assert listed(http, hand) == {}


def test_a_checkpoint_that_another_job_starts_from_is_kept_until_that_job_ends(
    http: httpx.Client, hand: Hand
):
    hand.finish(FAILED)
    first = f"/v1/checkpoints/{listed(http, hand)[1]}"
    user = http.post("/v1/jobs", json={"model": {"source": first.rpartition("/")[2]}}).json()["id"]
    refused = http.delete(first)
    assert refused.status_code == 409
    assert user in refused.json()["detail"]
    http.post(f"/v1/jobs/{user}/cancel")
    assert http.delete(first).status_code == 204


def test_deleting_a_checkpoint_needs_the_scope_submit_and_the_right_project(
    hand: Hand, http: httpx.Client, reading_http: httpx.Client, their_http: httpx.Client
):
    first = f"/v1/checkpoints/{listed(http, hand)[1]}"
    assert reading_http.delete(first).status_code == 403
    assert their_http.delete(first).status_code == 404
    assert http.get(first).status_code == 200
