"""The artifact store on a file system: checkpoints, logs, rollouts and uploaded files.

Keys are relative paths: jobs/<job>/attempt-N/step-S/..., jobs/<job>/attempt-N/log.txt,
jobs/<job>/attempt-N/rollouts/..., files/<file>.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from store.errors import ArtifactError
from store.ids import new_id

__all__ = ["ArtifactError", "Artifacts"]


class Artifacts:
    """What lies under one folder.  A key is there with all of its content or not at all."""

    def __init__(self, url: str) -> None:
        """Raises:
        ArtifactError: the address is not `file:///an/absolute/folder`.
        """
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
            raise ArtifactError(f"ARTIFACTS_URL must be file:///an/absolute/folder, not {url!r}")
        self.root = Path(unquote(parts.path))

    def path(self, key: str) -> Path:
        """Where a key lies; nothing need be there.

        Raises:
            ArtifactError: the key leads out of the store: `..`, an absolute path, a link.
        """
        steps = key.split("/")
        if "\0" in key or any(step in ("", ".", "..") for step in steps):
            raise ArtifactError(f"{key!r} is no key: keys are relative paths without `..`")
        path = self.root
        for step in steps:
            path = path / step
            if path.is_symlink():
                raise ArtifactError(f"{key!r} leads over a link, which the store never makes")
        return path

    def put_folder(self, local: Path, key: str) -> None:
        """Copy a folder, on disk for good before it appears; one that is there is replaced.

        Raises:
            ArtifactError: it holds a link, or something that is neither file nor folder.
            OSError: the disk is full, or gone.
        """
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
        """Copy a file, on disk for good before it appears; one that is there is replaced.

        Raises:
            OSError: the disk is full, or gone.
        """
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
        """As `put_file`, where no file of the same size is there.

        Raises:
            OSError: the disk is full, or gone.
        """
        stored = self.path(key)
        if not stored.is_file() or stored.stat().st_size != local.stat().st_size:
            self.put_file(local, key)

    def names(self, key: str) -> list[str]:
        """What a folder holds, in order; nothing where there is no such folder."""
        path = self.path(key)
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []

    def age_seconds(self, key: str) -> float:
        """Since a file or a folder itself was written, by the clock of the store's disk: this
        machine's may be wrong.  0 where there is none.
        """
        try:
            written_at = self.path(key).stat().st_mtime
        except FileNotFoundError:
            return 0
        with tempfile.TemporaryFile(dir=self.root) as now:
            return os.fstat(now.fileno()).st_mtime - written_at

    def open(self, key: str) -> BufferedReader:
        """A stored file, to read.

        Raises:
            ArtifactError: there is none.
        """
        try:
            return self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ArtifactError(f"there is no file {key!r} in the artifact store") from None

    def verify(self, key: str, manifest: Mapping[str, Any]) -> None:
        """Read a stored folder back and compare each file with its manifest's sha256 and size.

        Raises:
            ArtifactError: a file is missing or differs.
        """
        for file in manifest["files"]:
            name = f"{key}/{file['path']}"
            with self.open(name) as stored:
                sha256 = hashlib.file_digest(stored, "sha256").hexdigest()
                num_bytes = stored.tell()
            if (num_bytes, sha256) != (file["bytes"], file["sha256"]):
                raise ArtifactError(f"{name!r} is damaged: it does not have its manifest's sha256")

    def delete(self, key: str) -> None:
        """Remove a file or a folder; harmless when it is not there."""
        path = self.path(key)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _beside(self, key: str) -> Path:
        """A new name in the folder of `key`, which is made: from there a rename is atomic."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{new_id().hex}.tmp")

    def _keep_names(self, target: Path) -> None:
        """A file on disk is lost all the same if the names that lead to it are not."""
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
