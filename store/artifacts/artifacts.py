"""The artifact store: checkpoints, logs, rollouts and uploaded files.

Keys are relative paths: jobs/<job>/attempt-N/step-S/..., jobs/<job>/attempt-N/log.txt,
jobs/<job>/attempt-N/rollouts/..., files/<file>.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

from store.errors import ArtifactDamaged, ArtifactError

__all__ = ["MANIFEST", "ArtifactError", "Artifacts"]

MANIFEST = "manifest.json"
BLOCK_BYTES = 2**20


class Artifacts(ABC):
    """Interface of an artifact store; `artifacts_at` creates one from its URL.

    A stored file exists completely or not at all.  Every method may raise ArtifactError for a key
    that points outside the store, ArtifactsAway or ArtifactsRefused.
    """

    @abstractmethod
    def check(self) -> None:
        """Check that the store can be used.

        Raises:
            ArtifactsRefused: the settings or permissions must be changed first.
            ArtifactsAway: the store does not answer.
        """

    @abstractmethod
    def local(self, key: str) -> Path | None:
        """Return a key's local path, which need not exist; None: the store is not local."""

    @abstractmethod
    def signed_url(self, key: str, *, method: Literal["GET", "HEAD"]) -> str | None:
        """Return a URL that lets anyone read a file for some minutes; None: not supported."""

    @abstractmethod
    def put_folder(self, local: Path, key: str) -> None:
        """Copy a folder durably, its manifest last; an existing one is replaced.

        Raises:
            ArtifactError: the folder holds a link or another special file.
            OSError: the disk is full or unavailable.
        """

    @abstractmethod
    def put_file(self, local: Path, key: str) -> None:
        """Copy a file durably before it appears; an existing one is replaced.

        Raises:
            OSError: the disk is full or unavailable.
        """

    @abstractmethod
    def put_missing(self, local: Path, key: str) -> None:
        """Copy a file as `put_file` does, unless a file of the same size exists.

        Raises:
            OSError: the disk is full or unavailable.
        """

    @abstractmethod
    def names(self, key: str) -> list[str]:
        """Return the sorted names in a folder; empty for a missing folder."""

    @abstractmethod
    def age_seconds(self, key: str) -> float:
        """Return the age of a file or a folder by the store's clock, because this machine's may be
        wrong; 0 if missing.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Open a stored file, seekable.

        Raises:
            ArtifactMissing: the file does not exist.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a file or a folder, if it exists."""

    def blocks(self, key: str, *, num_bytes: int, sha256: str) -> Iterator[bytes]:
        """Yield a stored file's content block by block, verified at the end.

        Raises:
            ArtifactMissing: the file does not exist.
            ArtifactDamaged: its size or sha256 differs.
        """
        digest, seen = hashlib.sha256(), 0
        with self.open(key) as stored:
            while block := stored.read(BLOCK_BYTES):
                digest.update(block)
                seen += len(block)
                yield block
        if (seen, digest.hexdigest()) != (num_bytes, sha256):
            raise ArtifactDamaged(f"{key!r} is damaged: its sha256 differs from its manifest's")

    def verify(self, key: str, manifest: Mapping[str, Any]) -> None:
        """Read a stored folder back and compare each file with its manifest's sha256 and size.

        Raises:
            ArtifactMissing: a file is missing.
            ArtifactDamaged: a file differs.
        """
        for file in manifest["files"]:
            name = f"{key}/{file['path']}"
            for _ in self.blocks(name, num_bytes=file["bytes"], sha256=file["sha256"]):
                pass


def steps_of(key: str) -> list[str]:
    """Split a key into its parts.

    Raises:
        ArtifactError: the key is not a relative path, or contains `..`.
    """
    steps = key.split("/")
    if "\0" in key or any(step in ("", ".", "..") for step in steps):
        raise ArtifactError(f"{key!r} is not a valid key: keys are relative paths without `..`")
    return steps
