"""The artifact store: whole or not there, as it was written, and nothing outside it."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from store.artifacts import ArtifactError, Artifacts


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts((tmp_path / "store of mine").as_uri())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "step-2"
    (made / "inner").mkdir(parents=True)
    (made / "weights").write_bytes(b"\0\1\2" * 1000)
    (made / "inner" / "config.json").write_text("{}")
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


def test_a_folder_is_stored_as_it_was(artifacts: Artifacts, folder: Path):
    artifacts.put_folder(folder, KEY)
    artifacts.verify(KEY, manifest(folder))
    with artifacts.open(f"{KEY}/inner/config.json") as stored:
        assert stored.read() == b"{}"
    assert [path.name for path in artifacts.path(KEY).parent.iterdir()] == ["step-2"]


def test_storing_again_replaces(artifacts: Artifacts, folder: Path):
    artifacts.put_folder(folder, KEY)
    (folder / "weights").write_bytes(b"new")
    (folder / "inner" / "config.json").unlink()
    artifacts.put_folder(folder, KEY)
    artifacts.verify(KEY, manifest(folder))
    assert not artifacts.path(f"{KEY}/inner/config.json").exists()
    log = folder / "log.txt"
    for said in ("one", "one two"):
        log.write_text(said)
        artifacts.put_file(log, "jobs/job_1/attempt-1/log.txt")
        assert artifacts.path("jobs/job_1/attempt-1/log.txt").read_text() == said


def test_a_copy_that_breaks_off_leaves_nothing(artifacts: Artifacts, folder: Path):
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArtifactError, match="neither a file nor a folder"):
        artifacts.put_folder(folder, KEY)
    assert list(artifacts.path(KEY).parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "short", "missing"])
def test_damage_is_found(artifacts: Artifacts, folder: Path, damage: str):
    artifacts.put_folder(folder, KEY)
    weights = artifacts.path(f"{KEY}/weights")
    match damage:
        case "flip":
            weights.write_bytes(b"\7" + weights.read_bytes()[1:])
        case "short":
            os.truncate(weights, 100)
        case _:
            weights.unlink()
    with pytest.raises(ArtifactError, match=r"weights.*(damaged|artifact store)"):
        artifacts.verify(KEY, manifest(folder))


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/./b", "a/", "a\0b"],
)
def test_no_key_leads_out_of_the_store(artifacts: Artifacts, key: str):
    with pytest.raises(ArtifactError, match="is no key"):
        artifacts.path(key)


def test_no_link_leads_out_of_the_store(artifacts: Artifacts, folder: Path, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError):
        artifacts.put_folder(folder, KEY)
    artifacts.root.mkdir(exist_ok=True)
    (artifacts.root / "planted").symlink_to(tmp_path)
    with pytest.raises(ArtifactError, match="over a link"):
        artifacts.open("planted/secret")


def test_what_is_not_there_is_told(artifacts: Artifacts):
    with pytest.raises(ArtifactError, match="there is no file"):
        artifacts.open("files/file_1")
    artifacts.delete("files/file_1")


def test_what_was_deleted_is_gone(artifacts: Artifacts, folder: Path):
    artifacts.put_folder(folder, KEY)
    artifacts.put_file(folder / "weights", "files/file_1")
    artifacts.delete(KEY)
    artifacts.delete("files/file_1")
    assert [path for path in artifacts.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("url", ["", "relative", "s3://bucket/x", "file://elsewhere/x"])
def test_another_kind_of_address_is_refused(url: str):
    with pytest.raises(ArtifactError, match="ARTIFACTS_URL must be file:///"):
        Artifacts(url)
