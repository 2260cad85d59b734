"""The artifact store on a file system."""

import os
import shutil
import tempfile
from io import BufferedReader
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from store.artifacts.artifacts import Artifacts, steps_of
from store.errors import ArtifactError, ArtifactMissing, ArtifactsRefused
from store.ids import new_id


class FolderArtifacts(Artifacts):
    """Artifacts below one folder.  A key exists completely or not at all."""

    def __init__(self, url: str) -> None:
        """Raises:
        ArtifactsRefused: the address is not `file:///an/absolute/folder`.
        """
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
            raise ArtifactsRefused(f"ARTIFACTS_URL must be file:///an/absolute/folder, not {url!r}")
        self.root = Path(unquote(parts.path))

    def check(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArtifactsRefused(f"ARTIFACTS_URL, {self.root}, cannot be used: {error}") from None
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise ArtifactsRefused(f"ARTIFACTS_URL, {self.root}, cannot be written to")

    def local(self, key: str) -> Path:
        return self.path(key)

    def signed_url(self, key: str, *, method: Literal["GET", "HEAD"]) -> None:  # noqa: ARG002
        return None

    def path(self, key: str) -> Path:
        """Return a key's path, which need not exist.

        Raises:
            ArtifactError: the key points outside the store: `..`, an absolute path, a link.
        """
        path = self.root
        for step in steps_of(key):
            path = path / step
            if path.is_symlink():
                raise ArtifactError(
                    f"{key!r} passes through a symbolic link, which the store never creates"
                )
        return path

    def put_folder(self, local: Path, key: str) -> None:
        """Copy a folder, which appears atomically by a rename."""
        beside = self._beside(key)
        try:
            _copy_folder(local, beside)
            target = self.path(key)
            if target.exists():
                shutil.rmtree(target)
            beside.rename(target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        self._keep_names(target)

    def put_file(self, local: Path, key: str) -> None:
        beside = self._beside(key)
        try:
            _copy_file(local, beside)
            target = self.path(key)
            beside.rename(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        self._keep_names(target)

    def put_missing(self, local: Path, key: str) -> None:
        stored = self.path(key)
        if not stored.is_file() or stored.stat().st_size != local.stat().st_size:
            self.put_file(local, key)

    def names(self, key: str) -> list[str]:
        path = self.path(key)
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []

    def age_seconds(self, key: str) -> float:
        """Return an age by the disk's clock; a folder's age is that of its entries, not of their
        content."""
        try:
            written_at = self.path(key).stat().st_mtime
        except FileNotFoundError:
            return 0
        with tempfile.TemporaryFile(dir=self.root) as now:
            return os.fstat(now.fileno()).st_mtime - written_at

    def open(self, key: str) -> BufferedReader:
        try:
            return self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ArtifactMissing(f"the file {key!r} is not in the artifact store") from None

    def delete(self, key: str) -> None:
        path = self.path(key)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _beside(self, key: str) -> Path:
        """Return a new name in the folder of `key`, creating it; a rename from there is atomic."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{new_id().hex}.tmp")

    def _keep_names(self, target: Path) -> None:
        """Sync the folders above a file, without whose entries the file would be lost."""
        for folder in target.parents:
            _fsync(folder)
            if folder == self.root:
                break


def _copy_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            raise ArtifactError(f"{entry} is neither a file nor a folder: it cannot be stored")
        if entry.is_dir():
            _copy_folder(entry, target / entry.name)
        else:
            _copy_file(entry, target / entry.name)
    _fsync(target)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _fsync(target)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
