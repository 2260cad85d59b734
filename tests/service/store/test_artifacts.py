"""The artifact store, on a disk and on S3: complete, unchanged, and confined."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from store.artifacts.artifacts import Artifacts
from store.artifacts.factory import artifacts_at
from store.errors import ArtifactDamaged, ArtifactError, ArtifactMissing, ArtifactsRefused
from tests.s3 import BUCKET


@pytest.fixture(params=["file", "s3"])
def artifacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    if request.param == "s3":
        request.getfixturevalue("s3")
        return artifacts_at(f"s3://{BUCKET}/store of mine/", retry_seconds=1)
    return artifacts_at((tmp_path / "store of mine").as_uri(), retry_seconds=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "step-2"
    (made / "inner").mkdir(parents=True)
    (made / "weights").write_bytes(b"\0\1\2" * 1000)
    (made / "inner" / "wörter 词.json").write_text("{}")
    (made / "empty").touch()
    return made


def manifest(folder: Path) -> dict[str, Any]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "files": [
            {
                "path": str(path.relative_to(folder)),
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        ]
    }


KEY = "jobs/job_1/attempt-1/step-2"


def content(artifacts: Artifacts, key: str) -> bytes:
    with artifacts.open(key) as stored:
        return stored.read()


def test_a_folder_is_stored_as_it_was(artifacts: Artifacts, folder: Path):
    artifacts.put_folder(folder, KEY)
    artifacts.verify(KEY, manifest(folder))
    assert content(artifacts, f"{KEY}/inner/wörter 词.json") == b"{}"
    assert artifacts.names("jobs/job_1/attempt-1") == ["step-2"]
    assert artifacts.names(KEY) == ["empty", "inner", "weights"]
    assert artifacts.names("jobs/job_2") == []


def test_storing_again_replaces(artifacts: Artifacts, folder: Path):
    artifacts.put_folder(folder, KEY)
    (folder / "weights").write_bytes(b"new")
    (folder / "inner" / "wörter 词.json").unlink()
    artifacts.put_folder(folder, KEY)
    artifacts.verify(KEY, manifest(folder))
    with pytest.raises(ArtifactMissing):
        artifacts.open(f"{KEY}/inner/wörter 词.json")
    log, key = folder / "log.txt", "jobs/job_1/attempt-1/log.txt"
    for said in ("one", "one two"):
        log.write_text(said)
        artifacts.put_file(log, key)
        assert content(artifacts, key) == said.encode()


def test_an_existing_file_is_not_stored_again(artifacts: Artifacts, tmp_path: Path):
    log, key = tmp_path / "log.txt", "jobs/job_1/attempt-1/log.txt"
    for said, stored in (("one", b"one"), ("two", b"one"), ("three", b"three")):
        log.write_text(said)
        artifacts.put_missing(log, key)
        assert content(artifacts, key) == stored


def test_a_file_is_read_from_any_offset(artifacts: Artifacts, tmp_path: Path):
    written = bytes(range(256)) * 80_000  # more than one request for what lies on S3
    (tmp_path / "weights").write_bytes(written)
    artifacts.put_file(tmp_path / "weights", "files/file_1")
    with artifacts.open("files/file_1") as stored:
        assert stored.seek(0, os.SEEK_END) == len(written)
        assert stored.read(10) == b""
        assert stored.seek(12_345_678) == 12_345_678
        assert stored.read(1000) == written[12_345_678 : 12_345_678 + 1000]
        assert stored.seek(-5, os.SEEK_CUR) == 12_346_673
        assert stored.read() == written[12_346_673:]


def test_an_interrupted_copy_leaves_nothing(artifacts: Artifacts, folder: Path):
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        artifacts.put_folder(folder, KEY)
    assert artifacts.names("jobs/job_1/attempt-1") == []


@pytest.mark.parametrize("damage", ["flip", "short", "missing"])
def test_damage_is_found(artifacts: Artifacts, folder: Path, damage: str):
    artifacts.put_folder(folder, KEY)
    listed, weights, key = manifest(folder), folder / "weights", f"{KEY}/weights"
    match damage:
        case "flip":
            weights.write_bytes(b"\7" + weights.read_bytes()[1:])
            artifacts.put_file(weights, key)
        case "short":
            os.truncate(weights, 100)
            artifacts.put_file(weights, key)
        case _:
            artifacts.delete(key)
    kind = ArtifactMissing if damage == "missing" else ArtifactDamaged
    with pytest.raises(kind, match=r"weights.*(damaged|artifact store)"):
        artifacts.verify(KEY, listed)


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/./b", "a/", "a\0b"],
)
def test_no_key_escapes_the_store(artifacts: Artifacts, key: str, tmp_path: Path):
    (tmp_path / "file").touch()
    for use in (
        artifacts.open,
        artifacts.names,
        artifacts.age_seconds,
        artifacts.delete,
        artifacts.local,
        lambda key: artifacts.put_file(tmp_path / "file", key),
        lambda key: artifacts.put_missing(tmp_path / "file", key),
        lambda key: artifacts.put_folder(tmp_path, key),
    ):
        with pytest.raises(ArtifactError, match="is not a valid key"):
            use(key)


def test_no_link_points_into_the_store(artifacts: Artifacts, folder: Path, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        artifacts.put_folder(folder, KEY)


def test_a_missing_file_is_reported(artifacts: Artifacts):
    with pytest.raises(ArtifactMissing, match="is not in the artifact store"):
        artifacts.open("files/file_1")
    artifacts.delete("files/file_1")
    assert artifacts.age_seconds("files/file_1") == 0


def test_deletion_removes_the_given_files_only(artifacts: Artifacts, folder: Path):
    for key in (KEY, f"{KEY}0"):
        artifacts.put_folder(folder, key)
    artifacts.put_file(folder / "weights", "files/file_1")
    artifacts.put_file(folder / "weights", "files/file_10")
    artifacts.delete(KEY)
    artifacts.delete("files/file_1")
    assert artifacts.names("jobs/job_1/attempt-1") == ["step-20"]
    assert artifacts.names("files") == ["file_10"]
    artifacts.verify(f"{KEY}0", manifest(folder))


def test_a_new_file_has_a_recent_age(artifacts: Artifacts, folder: Path):
    artifacts.put_folder(folder, KEY)
    for key in (KEY, f"{KEY}/weights", "jobs/job_1"):
        assert -1 <= artifacts.age_seconds(key) < 30


def test_an_address_that_works_is_found_to(artifacts: Artifacts):
    artifacts.check()
    assert artifacts.names("jobs") == []


@pytest.mark.parametrize(
    "url", ["", "relative", "http://host/x", "file://elsewhere/x", "s3:///x", "s3://b/x?y"]
)
def test_another_kind_of_address_is_refused(url: str):
    with pytest.raises(ArtifactsRefused, match="ARTIFACTS_URL must be"):
        artifacts_at(url, retry_seconds=1)
