"""The artifact store on S3: failures of the network and permissions."""

import threading
import time
from pathlib import Path
from typing import Literal

import httpx
import pytest

from store.artifacts.s3 import S3Artifacts
from store.errors import ArtifactMissing, ArtifactsAway, ArtifactsRefused
from tests.s3 import BUCKET, S3Server, s3_server

KEY = "jobs/job_1/attempt-1/step-2"


@pytest.fixture
def artifacts(s3: S3Server) -> S3Artifacts:
    return S3Artifacts(f"s3://{BUCKET}/duet", retry_seconds=1)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file large enough for a multipart upload."""
    path = tmp_path / "weights"
    path.write_bytes(bytes(range(256)) * 160_000)
    return path


def unfinished(s3: S3Server) -> list[str]:
    """Uploads whose parts the store still holds."""
    listed = s3.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [upload["Key"] for upload in listed]


def test_every_object_is_below_the_prefix(artifacts: S3Artifacts, s3: S3Server, large: Path):
    artifacts.check()
    artifacts.put_file(large, "files/file_1")
    assert s3.stored() == ["duet/.clock", "duet/files/file_1"]
    bare = S3Artifacts(f"s3://{BUCKET}", retry_seconds=1)
    assert bare.names("duet/files") == ["file_1"]


def test_a_folders_manifest_is_uploaded_last(artifacts: S3Artifacts, s3: S3Server, tmp_path: Path):
    folder = tmp_path / "step-2"
    folder.mkdir()
    for name in ("a.json", "manifest.json", "weights"):
        (folder / name).write_text(name)
    artifacts.put_folder(folder, "jobs/job_2/attempt-1/step-2")
    put = [path for method, path in s3.requests() if method == "PUT" and "/job_2/" in path]
    assert [path.rpartition("/")[2] for path in put] == ["a.json", "weights", "manifest.json"]


def test_a_folder_of_more_files_than_one_request_lists_is_removed_whole(
    artifacts: S3Artifacts, s3: S3Server
):
    client = s3.client()
    for number in range(1005):
        client.put_object(Bucket=BUCKET, Key=f"duet/{KEY}/{number}", Body=b"")
    client.put_object(Bucket=BUCKET, Key=f"duet/{KEY}0/kept", Body=b"")
    assert len(artifacts.names(KEY)) == 1005
    artifacts.delete(KEY)
    assert s3.stored() == [f"duet/{KEY}0/kept"]


def test_an_upload_survives_a_temporary_outage_of_the_endpoint(s3: S3Server, large: Path):
    artifacts = S3Artifacts(f"s3://{BUCKET}/duet", retry_seconds=60)
    s3.line.cut_after(5_000_000)
    uploading = threading.Thread(target=artifacts.put_file, args=(large, "files/file_1"))
    uploading.start()
    while not s3.line.is_cut:
        time.sleep(0.01)
    s3.line.cut()
    assert s3.stored() == []
    s3.line.join()
    uploading.join()
    with artifacts.open("files/file_1") as stored:
        assert stored.read() == large.read_bytes()
    assert unfinished(s3) == []


def test_an_interrupted_upload_stores_nothing_and_names_the_setting(
    artifacts: S3Artifacts, s3: S3Server, large: Path
):
    s3.line.cut_after(5_000_000)
    begun = time.monotonic()
    with pytest.raises(ArtifactsAway, match=r"s3://.*ARTIFACTS_URL"):
        artifacts.put_file(large, "files/file_1")
    assert time.monotonic() - begun < 20
    assert s3.stored() == []
    for ask in (artifacts.check, lambda: artifacts.open(KEY), lambda: artifacts.names(KEY)):
        with pytest.raises(ArtifactsAway):
            ask()


def test_a_missing_bucket_is_reported_at_the_start(s3: S3Server, large: Path):
    artifacts = S3Artifacts("s3://another-bucket/duet", retry_seconds=1)
    for use in (
        artifacts.check,
        lambda: artifacts.put_file(large, "files/file_1"),
        lambda: artifacts.open("files/file_1"),
        lambda: artifacts.names("files"),
    ):
        with pytest.raises(ArtifactsRefused, match=r"s3://another-bucket.*NoSuchBucket"):
            use()


def test_a_key_without_permission_is_reported_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with s3_server(tmp_path, INITIAL_NO_AUTH_ACTION_COUNT="1") as server:
        server.client().create_bucket(Bucket=BUCKET)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        artifacts = S3Artifacts(f"s3://{BUCKET}", retry_seconds=1)
        with pytest.raises(ArtifactsRefused, match=r"InvalidAccessKeyId.*AWS_"):
            artifacts.check()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_anyone_with_a_signed_address_can_read_that_file(
    artifacts: S3Artifacts, large: Path, method: Literal["GET", "HEAD"]
):
    artifacts.put_file(large, "files/wörter 1")
    answer = httpx.request(method, artifacts.signed_url("files/wörter 1", method=method))
    assert answer.status_code == 200
    assert answer.content == (large.read_bytes() if method == "GET" else b"")
    assert answer.headers["content-disposition"] == "attachment"
    assert "X-Amz-Expires=600" in str(answer.url)


def test_a_file_that_goes_while_it_is_read_is_missing(artifacts: S3Artifacts, large: Path):
    artifacts.put_file(large, "files/file_1")
    with artifacts.open("files/file_1") as stored:
        stored.read(100)
        artifacts.delete("files/file_1")
        with pytest.raises(ArtifactMissing):
            stored.read()
