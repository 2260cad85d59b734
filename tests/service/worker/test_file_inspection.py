"""Background inspections of files always end with a result."""

import errno
import json
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from grpo.data.inspection import Inspection, inspect_counting
from store import files, ids
from store.access.keys import create_key, create_project
from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.errors import ArtifactsAway
from store.tables import File
from tests.small_disk import small_disk
from tests.waiting import wait_until
from worker.file_inspection import Inspecting


def key_error(_: str, __: str) -> Inspection:
    raise KeyError("no such column")


def damaged(_: str, __: str) -> Inspection:
    """Fail as libraries do that call a damaged file an OSError."""
    raise OSError("the file's footer is damaged")


def unreadable(path: str, _: str) -> Inspection:
    raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def no_files_left(_: str, __: str) -> Inspection:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def without_counter(path: str, counter: str) -> Inspection:
    """Inspect the file though another program has removed the counter."""
    Path(counter).unlink()
    return inspect_counting(path, counter)


def not_storable(_: str, __: str) -> Inspection:
    return Inspection(1, {"a\0b": None}, b"")


def halfway(path: str, counter: str) -> Inspection:
    """Count 4,000 rows, and go on once the test has seen them."""
    Path(counter).write_bytes((4_000).to_bytes(8, "little"))
    wait_until(lambda: Path(f"{path}.seen").exists())
    return Inspection(9_000, {"question": None})


class AwayOnce(FolderArtifacts):
    """A store that fails the first time."""

    asked = 0

    def local(self, key: str) -> Path:
        self.asked += 1
        if self.asked == 1:
            raise ArtifactsAway("the artifact store does not answer")
        return super().local(key)


@pytest.fixture
def artifacts(tmp_path: Path) -> AwayOnce:
    return AwayOnce((tmp_path / "artifacts").as_uri())


@pytest.fixture
def uploaded(database: Database, artifacts: FolderArtifacts, tmp_path: Path) -> tuple[UUID, UUID]:
    """The project and the file, which is still processing."""
    file_id = ids.new_id()
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "1+1=", "answer": "2"}) + "\n")
    artifacts.put_file(path, files.artifact_key(file_id))
    with database.session() as session:
        project = create_project(session, "ours")
        key = create_key(session, project, "key", ["submit"])[0]
        files.create(
            session,
            file_id=file_id,
            project_id=project.id,
            key_id=key.id,
            name="rows.jsonl",
            bytes=path.stat().st_size,
            sha256="0" * 64,
            inspection=None,
        )
        return project.id, file_id


def read(database: Database, uploaded: tuple[UUID, UUID]) -> File:
    with database.session() as session:
        return files.get(session, *uploaded)


@pytest.mark.parametrize("look", [key_error, damaged, not_storable])
def test_an_unexpected_error_fails_the_file_at_once_with_a_message(
    database: Database,
    artifacts: AwayOnce,
    uploaded: tuple[UUID, UUID],
    look: Callable[[str, str], Inspection],
):
    artifacts.asked = 1
    assert Inspecting(database, artifacts, look=look).inspect_next()
    file = read(database, uploaded)
    assert file.status == "failed"
    [problem] = file.problems
    assert "failed unexpectedly" in problem
    assert "upload it again" in problem


def test_a_store_that_is_away_fails_no_file_and_costs_it_no_time(
    database: Database, artifacts: AwayOnce, uploaded: tuple[UUID, UUID]
):
    inspecting = Inspecting(database, artifacts)
    with pytest.raises(ArtifactsAway):
        inspecting.inspect_next()
    assert read(database, uploaded).status == "processing"
    assert inspecting.inspect_next(), "the next attempt waits for no time to pass"
    file = read(database, uploaded)
    assert (file.status, file.num_rows) == ("ready", 1)


class Remote(FolderArtifacts):
    """A store whose files are first copied to this machine, as from S3."""

    def local(self, key: str) -> None:  # noqa: ARG002 # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def wait(database: Database, seconds: float) -> None:
    """Let the time pass, for the database."""
    past = File.inspection_began_at - timedelta(seconds=seconds)
    with database.session() as session:
        session.execute(update(File).values(inspection_began_at=past))


def fail_until_it_is_left(database: Database, inspecting: Inspecting, why: str) -> None:
    for seconds in (60, 900):
        with pytest.raises(OSError, match=why):
            inspecting.inspect_next()
        assert not inspecting.inspect_next(), "other files have their turn first"
        wait(database, seconds - 10)
        assert not inspecting.inspect_next()
        wait(database, 11)
    assert inspecting.inspect_next()


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (unreadable, "Input/output error"),
        pytest.param(no_files_left, "Too many open files", marks=pytest.mark.nightly),
    ],
)
def test_a_fault_of_the_machine_postpones_a_check_and_does_so_a_few_times(
    database: Database,
    artifacts: AwayOnce,
    uploaded: tuple[UUID, UUID],
    look: Callable[[str, str], Inspection],
    why: str,
):
    artifacts.asked = 1
    fail_until_it_is_left(database, Inspecting(database, artifacts, look=look), why)
    file = read(database, uploaded)
    assert file.status == "failed"
    [problem] = file.problems
    assert f"the server could not check this file, 3 times ({why})" in problem
    assert "upload it again later" in problem


def test_a_check_that_was_postponed_succeeds_once_there_is_room_for_the_copy(
    database: Database,
    artifacts: AwayOnce,
    uploaded: tuple[UUID, UUID],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    remote = Remote((tmp_path / "artifacts").as_uri())
    with small_disk(tmp_path / "disk", 100_000) as disk:
        monkeypatch.setattr("tempfile.tempdir", str(disk.folder))
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            Inspecting(database, remote).inspect_next()
        assert read(database, uploaded).status == "processing"
        disk.empty()
        wait(database, 61)
        assert Inspecting(database, remote).inspect_next()
        assert list(disk.folder.iterdir()) == []
    assert read(database, uploaded).status == "ready"


def test_a_counter_that_is_gone_costs_only_the_progress(
    database: Database, artifacts: AwayOnce, uploaded: tuple[UUID, UUID]
):
    artifacts.asked = 1
    assert Inspecting(database, artifacts, look=without_counter).inspect_next()
    assert read(database, uploaded).status == "ready"


def test_a_file_shows_how_many_rows_its_check_has_read(
    database: Database, artifacts: AwayOnce, uploaded: tuple[UUID, UUID]
):
    artifacts.asked = 1
    assert read(database, uploaded).num_rows_checked is None
    inspecting = Inspecting(database, artifacts, look=halfway)
    thread = threading.Thread(target=inspecting.inspect_next)
    thread.start()
    wait_until(lambda: read(database, uploaded).num_rows_checked == 4_000)
    assert read(database, uploaded).status == "processing"
    path = artifacts.path(files.artifact_key(uploaded[1]))
    Path(f"{path}.seen").touch()
    thread.join()
    file = read(database, uploaded)
    assert (file.status, file.num_rows, file.num_rows_checked) == ("ready", 9_000, None)
