"""Whether a worker can write where its jobs will: if not, it takes none, and they wait unharmed."""

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
from worker.disk import ROOM_BYTES

RETRY_SECONDS = 5.0
"""A store that does not answer for so long is away."""
S3_LOOK_SECONDS = 60.0
"""Between two looks at a store where each costs money."""
GROWTH = 1.5
"""Of the room with which a disk was full for an attempt, before the next one is begun."""
TRY_SECONDS = 1800.0
"""After so long an attempt is tried all the same: it may need less."""
PROBE_BYTES = 4096


class WriteCheck:
    """One for a worker, whose slots share its disks; for use by several threads."""

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
        """A disk that was full, how much room it had then, and when."""
        self.problem: str | None = None
        """As last found."""

    def look(self) -> str | None:
        """Why a job's output could not be written; None: it can."""
        with self._lock:
            found = self._run_directory() or self._store() or self._since_full()
            self.problem = found
            return found

    def note_full(self) -> None:
        """An attempt has ended because a disk was full: the one with least room, if it is ours."""
        store = self._artifacts.local(self._key)
        places = [self._runs_dir, *([store.parent] if store is not None else [])]
        room = [(shutil.disk_usage(_existing(path)).free, path) for path in places]
        free, path = min(room)
        with self._lock:
            self._full = path, free, self._clock()

    def _run_directory(self) -> str | None:
        try:
            self._runs_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._runs_dir, prefix=".probe-") as probe:
                probe.write(bytes(PROBE_BYTES))
            free = shutil.disk_usage(self._runs_dir).free
        except OSError as error:
            return f"its run directory {self._runs_dir} cannot be written to: {error.strerror}"
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
            said = error.strerror if isinstance(error, OSError) else str(error)
            return f"the artifact store cannot be written to: {said}"
        self._stored_at = now
        return self._store_is_full()

    def _store_is_full(self) -> str | None:
        place = self._artifacts.local(self._key)
        if place is not None and shutil.disk_usage(place.parent).free < ROOM_BYTES:
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
        return f"the disk of {path} was full for its last job and has no more room since"


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())
