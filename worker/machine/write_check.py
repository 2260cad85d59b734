"""Check that a worker can write its jobs' output: if not, it claims none, and they stay queued."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from store.artifacts.factory import artifacts_at
from store.artifacts.s3 import S3Artifacts
from store.errors import ArtifactError
from worker.machine.disk import ROOM_BYTES

RETRY_SECONDS = 5.0
"""Time after which a store that does not answer counts as unavailable."""
S3_LOOK_SECONDS = 60.0
"""Interval between checks of a store whose requests cost money."""
GROWTH = 1.5
"""Factor by which a full disk's free space must grow before the next attempt begins."""
TRY_SECONDS = 1800.0
"""Time after which an attempt is started anyway: it may need less space."""
PROBE_BYTES = 4096


class WriteCheck:
    """The write check of one worker, whose slots share its disks; thread-safe."""

    def __init__(
        self,
        runs_dir: Path,
        artifacts_url: str,
        worker_id: UUID,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs_dir = runs_dir
        self._artifacts = artifacts_at(artifacts_url, retry_seconds=RETRY_SECONDS)
        self._key = f"probes/{worker_id.hex}"
        self._clock = clock
        self._lock = threading.Lock()
        self._stored_at: float | None = None
        self._full: tuple[Path, int, float] | None = None
        """A disk that was full, with its free bytes and the time."""
        self.problem: str | None = None
        """The reason found by the last `look`, if any."""

    def look(self) -> str | None:
        """Return the reason why a job's output cannot be written, if that is so."""
        with self._lock:
            found = self._run_directory() or self._store() or self._since_full()
            self.problem = found
            return found

    def note_full(self) -> None:
        """Record that an attempt ended because of a full disk: the disk with the least free
        space."""
        store = self._artifacts.local(self._key)
        folders = [self._runs_dir, *([store.parent] if store is not None else [])]
        free, path = min((shutil.disk_usage(_existing(path)).free, path) for path in folders)
        with self._lock:
            self._full = path, free, self._clock()

    def _run_directory(self) -> str | None:
        try:
            self._runs_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._runs_dir, prefix=".probe-") as probe:
                probe.write(bytes(PROBE_BYTES))
            free = shutil.disk_usage(self._runs_dir).free
        except OSError as error:
            return f"cannot write to its run directory {self._runs_dir}: {error.strerror}"
        return None if free >= ROOM_BYTES else f"the disk of {self._runs_dir} is full"

    def _store(self) -> str | None:
        now = self._clock()
        recent = self._stored_at is not None and now - self._stored_at < S3_LOOK_SECONDS
        if recent and isinstance(self._artifacts, S3Artifacts):
            return None
        self._stored_at = None
        try:
            with tempfile.NamedTemporaryFile(dir=self._runs_dir, prefix=".probe-") as probe:
                probe.write(bytes(PROBE_BYTES))
                probe.flush()
                self._artifacts.put_file(Path(probe.name), self._key)
            self._artifacts.delete(self._key)
        except (OSError, ArtifactError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return f"cannot write to the artifact store: {reason}"
        self._stored_at = now
        return self._store_is_full()

    def _store_is_full(self) -> str | None:
        path = self._artifacts.local(self._key)
        if path is not None and shutil.disk_usage(path.parent).free < ROOM_BYTES:
            return "the disk of the artifact store is full"
        return None

    def _since_full(self) -> str | None:
        if self._full is None:
            return None
        path, free_then, at = self._full
        free = shutil.disk_usage(_existing(path)).free
        if free > GROWTH * free_then + ROOM_BYTES or self._clock() - at > TRY_SECONDS:
            self._full = None
            return None
        return (
            f"the disk of {path} filled up during the last job and has gained no free space since"
        )


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
