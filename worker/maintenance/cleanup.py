"""Removes what nobody needs any more: stray files in the artifact store, old run directories."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from uuid import UUID

import structlog

from store.errors import ArtifactError
from store.ids import decode, made_at
from store.jobs import checkpoint_retention
from store.jobs.checkpoint_retention import Held
from worker.attempt.uploads import mirrored_files, remove_checkpoints
from worker.context import Post

log = structlog.get_logger()

LOOKS, REMOVALS = 100, 20  # jobs looked at and folders removed in one call at most
DAY_SECONDS = 86_400
ATTEMPT = re.compile(r"attempt-(\d+)")


class Tidying:
    """Looks at some jobs a call, and at all of them in turn.

    Other workers may do the same at the same time: what is gone already is no error.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._stray = _Round()
        self._old = _Round()

    def remove_stray(self) -> int:
        """Delete from the artifact store what no row refers to, once it is old enough: how many.

        A checkpoint's folder without a row is one whose upload or removal a crash cut short; the
        running attempt's are left alone, for it may still register them.  So is what was made
        before this database: a worker that was given a new one must not empty its old store.
        """
        artifacts, grace = self._post.artifacts, self._post.settings.stray_grace_seconds
        names = self._own(self._stray.next_of(artifacts.names("jobs")))
        # Listed first and asked for then: what an attempt has registered before it ended is seen.
        listed = [(job_id, list(_folders(self._post, name))) for name, job_id in names]
        held = self._held(job_id for job_id, _ in listed)
        stray = (
            key
            for job_id, keys in listed
            for key in _without_a_row(keys, held.get(job_id))
            if artifacts.age_seconds(key) > grace
        )
        return sum(self._delete(key) for key in islice(stray, REMOVALS))

    def remove_old_runs(self) -> int:
        """Delete this machine's run directories of attempts that have long ended: how many.

        Their log and rollouts are in the artifact store by then; what is not is copied first.
        Checkpoints that an attempt left behind go as soon as it has ended.
        """
        runs, keep_days = self._post.settings.runs_dir, self._post.settings.runs_keep_days
        names = self._old.next_of([path.name for path in _listed(runs)])
        listed = [(*one, *attempt) for one in names for attempt in _attempts(runs / one[0])]
        held = self._held(job_id for _, job_id in names)
        ended = [
            (folder, f"jobs/{name}/attempt-{number}" if job_id in held else None)
            for name, job_id, folder, number in listed
            if not (job_id in held and held[job_id].running_attempt == number)
        ]
        for folder, _ in ended:
            remove_checkpoints(folder)
        old = (
            (folder, key)
            for folder, key in ended
            if _untouched_seconds(folder) > keep_days * DAY_SECONDS
        )
        return sum(self._remove_run(folder, key) for folder, key in islice(old, REMOVALS))

    def _own(self, names: list[tuple[str, UUID]]) -> list[tuple[str, UUID]]:
        with self._post.database.session() as session:
            since = checkpoint_retention.known_since(session)
        return [one for one in names if since is not None and made_at(one[1]) >= since]

    def _held(self, job_ids: Iterable[UUID]) -> dict[UUID, Held]:
        with self._post.database.session() as session:
            return checkpoint_retention.held(session, list(job_ids))

    def _delete(self, key: str) -> bool:
        try:
            self._post.artifacts.delete(key)
        except (OSError, ArtifactError) as error:
            log.warning("stray_not_removed", key=key, error=str(error))
            return False
        log.info("stray_removed", key=key)
        return True

    def _remove_run(self, folder: Path, key: str | None) -> bool:
        """`key`: the attempt's in the artifact store; None: the job has been deleted."""
        try:
            for path in mirrored_files(folder) if key else ():
                self._post.artifacts.put_missing(
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
    """Goes through names that come and go, some at a time."""

    def __init__(self) -> None:
        self._last = ""

    def next_of(self, names: Sequence[str]) -> list[tuple[str, UUID]]:
        """The next jobs' names with their ids; after the last one it begins anew."""
        following = [name for name in names if name > self._last][:LOOKS]
        self._last = following[-1] if len(following) == LOOKS else ""
        return [(name, job_id) for name in following if (job_id := _job_id(name))]


def _job_id(name: str) -> UUID | None:
    """None: it is no job's folder, and not ours to judge."""
    try:
        return decode("job", name)
    except ValueError:
        return None


def _folders(post: Post, job: str) -> Iterator[str]:
    """The keys in the artifact store that may be stray: a job's folder, its attempts' checkpoints,
    and copies that broke off."""
    key = f"jobs/{job}"
    yield key
    for attempt in post.artifacts.names(key):
        for name in post.artifacts.names(f"{key}/{attempt}"):
            if name.startswith(("step-", ".")):
                yield f"{key}/{attempt}/{name}"
        yield from _broken_off(post, f"{key}/{attempt}/rollouts")


def _broken_off(post: Post, key: str) -> Iterator[str]:
    """Copies of single files; only a folder can hold such, and elsewhere a long run's many
    rollouts would take many calls to list."""
    folder = post.artifacts.local(key)
    names = [] if folder is None else [path.name for path in folder.glob(".*")]
    yield from (f"{key}/{name}" for name in sorted(names))


def _without_a_row(keys: Sequence[str], held: Held | None) -> list[str]:
    """`keys` as `_folders` has them; None: there is no such job."""
    job, *inner = keys
    if held is None:
        return [job]
    running = f"{job}/attempt-{held.running_attempt}/"
    return [key for key in inner if key not in held.keys and not key.startswith(running)]


def _attempts(job: Path) -> list[tuple[Path, int]]:
    """The run directories of a job with their attempts' numbers."""
    matches = [(path, ATTEMPT.fullmatch(path.name)) for path in _listed(job)]
    return [(path, int(match[1])) for path, match in matches if match]


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _untouched_seconds(folder: Path) -> float:
    """Since something directly in it was last written, by the clock of the disk."""
    os.utime(folder.parent)  # now; a new file would need room on a full disk
    written_at = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return folder.parent.stat().st_mtime - written_at
