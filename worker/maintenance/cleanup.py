"""Removal of stray files in the artifact store and of old run directories."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from uuid import UUID

import structlog

from store.errors import ArtifactError
from store.ids import decode_or_none, made_at
from store.jobs import checkpoint_retention
from store.jobs.checkpoint_retention import Held
from worker.attempt.uploads import mirrored_files, remove_checkpoints
from worker.context import WorkerContext

log = structlog.get_logger()

LOOKS, REMOVALS = 100, 20  # maximum jobs checked and folders removed per call
DAY_SECONDS = 86_400
ATTEMPT = re.compile(r"attempt-(\d+)")


class Cleanup:
    """The cleanup of one worker: each call checks some jobs, in turn.

    Other workers may do the same concurrently: a file that is already gone is not an error.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._stray = _Round()
        self._old = _Round()

    def remove_stray(self) -> int:
        """Delete old artifacts that no row refers to; return their number.

        A checkpoint's folder without a row results from a crash during its upload or removal.  The
        running attempt's folders are left alone, since it may still register them, as are files
        older than this database: a worker with a new database must not empty its old store.
        """
        artifacts, grace = self._context.artifacts, self._context.settings.stray_grace_seconds
        names = self._own(self._stray.next_of(artifacts.names("jobs")))
        # Rows are read after the listing, so that the latest registrations of an attempt are
        # included.
        found = [(job_id, list(_folders(self._context, name))) for name, job_id in names]
        held = self._held(job_id for job_id, _ in found)
        stray = (
            key
            for job_id, keys in found
            for key in _without_a_row(keys, held.get(job_id))
            if artifacts.age_seconds(key) > grace
        )
        return sum(self._delete(key) for key in islice(stray, REMOVALS))

    def remove_old_runs(self) -> int:
        """Delete run directories of attempts that ended long ago here; return their number.

        Logs and rollouts that are not in the artifact store yet are copied first.  Checkpoints that
        an attempt left behind are removed as soon as it has ended.
        """
        runs, keep_days = self._context.settings.runs_dir, self._context.settings.runs_keep_days
        names = self._old.next_of([path.name for path in listed(runs)])
        found = [(*one, *attempt) for one in names for attempt in _attempts(runs / one[0])]
        held = self._held(job_id for _, job_id in names)
        ended = [
            (folder, f"jobs/{name}/attempt-{number}" if job_id in held else None)
            for name, job_id, folder, number in found
            if not (job_id in held and held[job_id].running_attempt == number)
        ]
        for folder, _ in ended:
            remove_checkpoints(folder)
        old = (
            (folder, key)
            for folder, key in ended
            if untouched_seconds(folder) > keep_days * DAY_SECONDS
        )
        return sum(self._remove_run(folder, key) for folder, key in islice(old, REMOVALS))

    def _own(self, names: list[tuple[str, UUID]]) -> list[tuple[str, UUID]]:
        with self._context.database.session() as session:
            since = checkpoint_retention.known_since(session)
        return [one for one in names if since is not None and made_at(one[1]) >= since]

    def _held(self, job_ids: Iterable[UUID]) -> dict[UUID, Held]:
        with self._context.database.session() as session:
            return checkpoint_retention.held(session, list(job_ids))

    def _delete(self, key: str) -> bool:
        try:
            self._context.artifacts.delete(key)
        except (OSError, ArtifactError) as error:
            log.warning("stray_not_removed", key=key, error=str(error))
            return False
        log.info("stray_removed", key=key)
        return True

    def _remove_run(self, folder: Path, key: str | None) -> bool:
        """Remove a run directory.  `key`: the attempt's artifacts; None: the job is deleted."""
        try:
            for path in mirrored_files(folder) if key else ():
                self._context.artifacts.put_missing(
                    path, f"{key}/{path.relative_to(folder).as_posix()}"
                )
            shutil.rmtree(folder)
        except (OSError, ArtifactError) as error:
            log.warning("run_not_removed", folder=str(folder), error=str(error))
            return False
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        return True


class _Round:
    """An iteration over a changing set of names, a few at a time."""

    def __init__(self) -> None:
        self._last = ""

    def next_of(self, names: Sequence[str]) -> list[tuple[str, UUID]]:
        """Return the next jobs' names with their ids, starting over after the last."""
        following = [name for name in names if name > self._last][:LOOKS]
        self._last = following[-1] if len(following) == LOOKS else ""
        # Folders that do not belong to a job are left alone.
        return [(name, id) for name in following if (id := decode_or_none("job", name))]


def _folders(context: WorkerContext, job: str) -> Iterator[str]:
    """Return the keys in the artifact store that may be stray: a job's folder, its attempts'
    checkpoints, and partial copies."""
    key = f"jobs/{job}"
    yield key
    for attempt in context.artifacts.names(key):
        for name in context.artifacts.names(f"{key}/{attempt}"):
            if name.startswith(("step-", ".")):
                yield f"{key}/{attempt}/{name}"
        yield from _broken_off(context, f"{key}/{attempt}/rollouts")


def _broken_off(context: WorkerContext, key: str) -> Iterator[str]:
    """Return partial copies of single files, which only a store in a folder can have; in S3,
    listing a long run's rollouts would take many requests."""
    folder = context.artifacts.local(key)
    names = [] if folder is None else [path.name for path in folder.glob(".*")]
    yield from (f"{key}/{name}" for name in sorted(names))


def _without_a_row(keys: Sequence[str], held: Held | None) -> list[str]:
    """Return the keys that no row refers to; `held`: None if the job is deleted."""
    job, *inner = keys
    if held is None:
        return [job]
    running = f"{job}/attempt-{held.running_attempt}/"
    return [key for key in inner if key not in held.keys and not key.startswith(running)]


def _attempts(job: Path) -> list[tuple[Path, int]]:
    """Return the run directories of a job with their attempts' numbers."""
    matches = [(path, ATTEMPT.fullmatch(path.name)) for path in listed(job)]
    return [(path, int(match[1])) for path, match in matches if match]


def listed(folder: Path) -> list[Path]:
    """Return the entries of a folder by name; empty if it does not exist."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def untouched_seconds(folder: Path) -> float:
    """Return the time since an entry of the folder was last written, by the disk's clock."""
    os.utime(folder.parent)  # sets the current time; a new file would need space on a full disk
    written_at = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return folder.parent.stat().st_mtime - written_at
