"""The artifact store on a disk: cases specific to a file system."""

from pathlib import Path

import pytest

from store.artifacts.folder import FolderArtifacts
from store.errors import ArtifactError, ArtifactsRefused


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts((tmp_path / "store of mine").as_uri())


def test_a_file_is_used_where_it_lies(artifacts: FolderArtifacts, tmp_path: Path):
    (tmp_path / "rows").write_text("rows")
    artifacts.put_file(tmp_path / "rows", "files/file_1")
    assert artifacts.local("files/file_1") == tmp_path / "store of mine/files/file_1"
    assert artifacts.local("files/file_1").read_text() == "rows"


def test_no_link_points_out_of_the_store(artifacts: FolderArtifacts, tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    artifacts.root.mkdir()
    (artifacts.root / "planted").symlink_to(tmp_path)
    with pytest.raises(ArtifactError, match="symbolic link"):
        artifacts.open("planted/secret")


def test_a_folder_that_cannot_be_created_is_reported_at_the_start(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactsRefused, match=r"ARTIFACTS_URL.*cannot be used"):
        FolderArtifacts((tmp_path / "file" / "artifacts").as_uri()).check()
