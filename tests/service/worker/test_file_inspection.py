"""Background inspections of files always end with a result."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from grpo.data.inspection import Inspection
from store import files, ids
from store.access.keys import create_key, create_project
from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.errors import ArtifactsAway
from store.tables import File
from tests.waiting import wait_until
from worker.file_inspection import Inspecting


def key_error(_: str, __: str) -> Inspection:
    raise KeyError("no such column")


def unreadable(path: str, _: str) -> Inspection:
    raise OSError(5, "Input/output error", path)


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


@pytest.mark.parametrize("look", [key_error, unreadable, not_storable])
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
