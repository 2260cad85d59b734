"""Upload of an attempt's folder to the artifact store, in a separate thread."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from grpo.errors import RunError
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactError
from worker.machine.disk import is_full

log = structlog.get_logger()

INPUTS = "inputs"
"""Subfolder of an attempt's folder for the trainer's downloaded inputs."""


@dataclass(frozen=True)
class Notice:
    """The trainer's notice that a checkpoint's folder is complete.  `n` is its record's number."""

    n: int
    step: int
    folder: Path
    final: bool


@dataclass(frozen=True)
class Uploaded:
    """A checkpoint that was uploaded to the artifact store and read back."""

    notice: Notice
    key: str
    manifest: dict[str, Any]

    @property
    def num_bytes(self) -> int:
        return sum(file["bytes"] for file in self.manifest["files"])


class Uploads:
    """Uploads of one attempt, one after another, independent of Postgres."""

    def __init__(self, artifacts: Artifacts, *, folder: Path, key: str) -> None:
        """`folder` is the attempt's, `key` its key in the artifact store."""
        self._artifacts = artifacts
        self._folder = folder
        self._key = key
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="uploads")
        self._checkpoints: list[Future[Uploaded]] = []
        self._removals: list[Future[None]] = []
        self._mirror: Future[None] | None = None
        self._mirrored: dict[Path, tuple[int, int]] = {}

    def add(self, notice: Notice) -> None:
        self._checkpoints.append(self._thread.submit(self._upload, notice))

    @property
    def first_done(self) -> Uploaded | None:
        """The first checkpoint that is uploaded and not yet `drop`ped.

        Raises:
            RunError: it could not be uploaded (`upload_failed`, `disk_full`).
        """
        done = self._checkpoints and self._checkpoints[0].done()
        return self._checkpoints[0].result() if done else None

    def drop(self) -> None:
        """Remove the first checkpoint, which has been registered."""
        self._checkpoints.pop(0)

    def remove(self, keys: Sequence[str]) -> None:
        """Delete unreferenced folders."""
        self._removals += [self._thread.submit(self._remove, key) for key in keys]

    @property
    def idle(self) -> bool:
        return not self.saving and not self._removing()

    @property
    def saving(self) -> bool:
        """Whether there is a checkpoint that has not been `drop`ped."""
        return bool(self._checkpoints)

    def wait(self, *, seconds: float) -> None:
        """Wait until the first checkpoint or a removal is done, at most `seconds`."""
        pending = [*self._checkpoints[:1], *self._removing()]
        wait(pending, timeout=seconds, return_when=FIRST_COMPLETED)

    def _removing(self) -> list[Future[None]]:
        self._removals = [removal for removal in self._removals if not removal.done()]
        return self._removals

    def mirror_soon(self) -> None:
        """Upload the log and the rollouts written so far."""
        if self._mirror is None or self._mirror.done():
            self._mirror = self._thread.submit(self.mirror)

    def mirror(self) -> None:
        """Upload the log and the rollouts now, in this thread.  A failure is only logged."""
        for path in mirrored_files(self._folder):
            stat = path.stat()
            state = (stat.st_size, stat.st_mtime_ns)
            if self._mirrored.get(path) == state:
                continue
            key = f"{self._key}/{path.relative_to(self._folder).as_posix()}"
            try:
                self._artifacts.put_file(path, key)
            except (OSError, ArtifactError):
                log.exception("mirror_failed", key=key)
                return
            self._mirrored[path] = state

    def close(self) -> None:
        """Cancel the uploads that have not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _remove(self, key: str) -> None:
        """Delete a folder; after an error, the cleanup removes the rest."""
        try:
            self._artifacts.delete(key)
        except (OSError, ArtifactError):
            log.exception("removal_failed", key=key)

    def _upload(self, notice: Notice) -> Uploaded:
        key = f"{self._key}/step-{notice.step}"
        try:
            manifest = _whole_manifest(notice.folder)
            self._artifacts.put_folder(notice.folder, key)
            self._artifacts.verify(key, manifest)
        except (OSError, ArtifactError) as error:
            raise _upload_failed(error) from error
        return Uploaded(notice, key, manifest)


def mirrored_files(folder: Path) -> list[Path]:
    """Files of an attempt's folder that the artifact store keeps: its log and its rollouts."""
    found = [folder / "log.txt", *sorted((folder / "rollouts").glob("*.jsonl.zst"))]
    return [path for path in found if path.is_file()]


def remove_checkpoints(folder: Path) -> None:
    """Remove an ended attempt's unregistered checkpoints and its downloaded inputs, the largest
    files on a worker's disk."""
    for name in ("checkpoints", INPUTS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _whole_manifest(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's manifest with an entry for the manifest itself, so that a download can
    be resumed."""
    written = (folder / "manifest.json").read_bytes()
    manifest = json.loads(written)
    itself = {
        "path": "manifest.json",
        "bytes": len(written),
        "sha256": hashlib.sha256(written).hexdigest(),
    }
    return {**manifest, "files": [*manifest["files"], itself]}


def _upload_failed(error: Exception) -> RunError:
    """Return the error that ends the attempt, whose further training could be lost."""
    full = is_full(error)
    code = "disk_full" if full else "upload_failed"
    log.error("upload_failed", code=code, error=str(error))
    return RunError(
        code,
        "a checkpoint could not be copied to the artifact store"
        + (", which is full" if full else ""),
        hint="Free space in the artifact store."
        if full
        else "The worker's log has the details; its operator should check that it can reach and "
        "write to the artifact store (ARTIFACTS_URL, and for S3 the AWS_... variables).",
    )
