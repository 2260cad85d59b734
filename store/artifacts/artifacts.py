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
    """What any artifact store can do; `artifacts_at` makes the one that an address names.

    A stored file is there with all of its content or not at all.  Every method may raise
    ArtifactError for a key that leads out of the store, ArtifactsAway or ArtifactsRefused.
    """

    @abstractmethod
    def check(self) -> None:
        """See that the address can work.

        Raises:
            ArtifactsRefused: it cannot, before somebody changes something.
            ArtifactsAway: it cannot now.
        """

    @abstractmethod
    def local(self, key: str) -> Path | None:
        """Where a key lies on this machine, nothing need be there; None: it is elsewhere."""

    @abstractmethod
    def signed_url(self, key: str, *, method: Literal["GET", "HEAD"]) -> str | None:
        """An address at which anyone can read a file for some minutes; None: there is none."""

    @abstractmethod
    def put_folder(self, local: Path, key: str) -> None:
        """Copy a folder for good, its manifest last; one that is there is replaced.

        Raises:
            ArtifactError: it holds a link, or something that is neither file nor folder.
            OSError: the disk is full, or gone.
        """

    @abstractmethod
    def put_file(self, local: Path, key: str) -> None:
        """Copy a file for good before it appears; one that is there is replaced.

        Raises:
            OSError: the disk is full, or gone.
        """

    @abstractmethod
    def put_missing(self, local: Path, key: str) -> None:
        """As `put_file`, where no file of the same size is there.

        Raises:
            OSError: the disk is full, or gone.
        """

    @abstractmethod
    def names(self, key: str) -> list[str]:
        """What a folder holds, in order; nothing where there is no such folder."""

    @abstractmethod
    def age_seconds(self, key: str) -> float:
        """Since a file or a folder was written, by the store's own clock: this machine's may be
        wrong.  0 where there is none.
        """

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """A stored file, to read from any place.

        Raises:
            ArtifactMissing: there is none.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a file or a folder; harmless when it is not there."""

    def blocks(self, key: str, *, num_bytes: int, sha256: str) -> Iterator[bytes]:
        """A stored file's content, block by block; at its end it is known to be whole.

        Raises:
            ArtifactMissing: there is none.
            ArtifactDamaged: it has another size or sha256.
        """
        digest, seen = hashlib.sha256(), 0
        with self.open(key) as stored:
            while block := stored.read(BLOCK_BYTES):
                digest.update(block)
                seen += len(block)
                yield block
        if (seen, digest.hexdigest()) != (num_bytes, sha256):
            raise ArtifactDamaged(f"{key!r} is damaged: it does not have its manifest's sha256")

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
    """A key's parts.

    Raises:
        ArtifactError: it is no relative path, or has `..` in it.
    """
    steps = key.split("/")
    if "\0" in key or any(step in ("", ".", "..") for step in steps):
        raise ArtifactError(f"{key!r} is no key: keys are relative paths without `..`")
    return steps
