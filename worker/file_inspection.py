"""Inspection of uploaded files that are too large to inspect during the request."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import structlog
from sqlalchemy.exc import OperationalError

from grpo.data.inspection import (
    Inspection,
    inspect_counting,
    memory_for,
    read_counter,
    too_costly,
)
from grpo.runtime.bounded_process import Cancelled, TooCostly, call_bounded
from store import file_inspections, files
from store.artifacts.artifacts import Artifacts
from store.database.database import Database
from store.errors import ArtifactMissing, ArtifactsAway, ArtifactsRefused
from store.file_inspections import MAX_INSPECTIONS, ToInspect
from store.ids import encode

log = structlog.get_logger()

POLL_SECONDS = 1.0
TELL_SECONDS = 1.0
"""Interval between two counts of an inspection's rows."""
INSPECTION_SECONDS = 300
LOST_AFTER_SECONDS = 1200
"""Age at which an inspection counts as lost; even with a download from S3 it takes less."""
GONE = "its content is missing from the artifact store: upload it again"
NEVER_ENDED = "every check of it was interrupted: split the file and upload the parts"
STORE_TROUBLES = (ArtifactsAway, ArtifactsRefused)
"""Errors of fetching a file's content, not caused by the file."""
POSTPONED_SECONDS = (60, 900)
"""Wait before a file is inspected again after a problem of the machine: a full disk, too many
processes or open files."""
assert len(POSTPONED_SECONDS) == MAX_INSPECTIONS - 1
assert max(POSTPONED_SECONDS) < LOST_AFTER_SECONDS


class Inspecting:
    """A loop that inspects one file after another, as long as the process lives."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        *,
        seconds: float = INSPECTION_SECONDS,
        look: Callable[[str, str], Inspection] = inspect_counting,
    ) -> None:
        """`look` inspects the file at one path in a separate process, and writes its row count to
        the file at another."""
        self._database = database
        self._artifacts = artifacts
        self._seconds = seconds
        self._look = look
        self._stopping = threading.Event()

    def run(self) -> None:
        """Inspect files until `stop`; to be run in a separate thread."""
        while not self._stopping.is_set():
            try:
                found_one = self.inspect_next()
            except Exception as error:  # noqa: BLE001 - the process would seem alive
                self._database.troubles.tell("inspection_failed", error)
                found_one = False
            if not found_one:
                self._stopping.wait(POLL_SECONDS)

    def stop(self) -> None:
        """End the loop and the running inspection, which another process then restarts."""
        self._stopping.set()

    def inspect_next(self) -> bool:
        """Inspect the next file; False: no file left.

        Raises:
            ArtifactsAway, ArtifactsRefused: the file could not be fetched; the inspection is
                repeated later.
            OSError: this machine could not inspect it; the inspection is repeated later, a limited
                number of times.
        """
        with self._database.session() as session:
            claim = file_inspections.claim_next(session, lost_after_seconds=LOST_AFTER_SECONDS)
        if claim is None:
            return False
        try:
            found = self._inspected(claim)
        except Cancelled:
            self._give_back(claim)
            return True
        except STORE_TROUBLES:
            self._give_back(claim)
            raise
        except OSError as error:
            if claim.number <= len(POSTPONED_SECONDS):
                self._postpone(claim)
                raise
            found = _unable(error, claim)
        settled = self._settled(claim, found)
        log.info(
            "file_inspected",
            file=encode("file", claim.file_id),
            problems=len(found.problems),
            counted=settled,
        )
        return True

    def _inspected(self, claim: ToInspect) -> Inspection:
        if claim.number > MAX_INSPECTIONS:
            return Inspection(problems=(NEVER_ENDED,))
        try:
            with self._content(files.artifact_key(claim.file_id)) as path:
                return self._bounded(path, claim)
        except ArtifactMissing:
            return Inspection(problems=(GONE,))

    def _bounded(self, path: Path, claim: ToInspect) -> Inspection:
        try:
            with _counter() as counter:
                return call_bounded(
                    self._look,
                    str(path),
                    counter.name,
                    seconds=self._seconds,
                    memory_bytes=memory_for(path),
                    cancelled=self._stopping,
                    meanwhile=_Progress(self._database, claim, counter).tell,
                )
        except TooCostly as error:
            return too_costly(error, self._seconds)
        except Cancelled:
            raise
        except OSError as error:
            if error.errno is not None:  # the system's; a library's error is about the file
                raise
            return _unexpected(error, claim)
        except Exception as error:  # noqa: BLE001 - the file's owner waits for a result
            return _unexpected(error, claim)

    def _settled(self, claim: ToInspect, found: Inspection) -> bool:
        """Store a result, waiting for the database during outages; False: the file was deleted,
        belongs to another process, or this one is stopping."""
        while True:
            try:
                with self._database.session() as session:
                    return file_inspections.settle(session, claim, found)
            except OperationalError as error:
                self._database.troubles.tell("inspection_not_stored", error)
                if self._stopping.wait(POLL_SECONDS):
                    return False
            except Exception as error:  # the database refuses the result
                if found.problems:
                    raise
                found = _unexpected(error, claim)

    def _give_back(self, claim: ToInspect) -> None:
        with self._database.session() as session:
            file_inspections.give_back(session, claim)

    def _postpone(self, claim: ToInspect) -> None:
        seconds = POSTPONED_SECONDS[claim.number - 1]
        with self._database.session() as session:
            file_inspections.postpone(
                session, claim, seconds=seconds, lost_after_seconds=LOST_AFTER_SECONDS
            )

    @contextmanager
    def _content(self, key: str) -> Iterator[Path]:
        """Return the local path of the stored file.

        Raises:
            ArtifactMissing: it is not in the store.
        """
        if (path := self._artifacts.local(key)) is not None:
            if not path.is_file():
                raise ArtifactMissing(key)
            yield path
            return
        with NamedTemporaryFile(prefix="duet-inspected-") as copy:
            with self._artifacts.open(key) as stored:
                shutil.copyfileobj(stored, copy)
            copy.flush()
            yield Path(copy.name)


@contextmanager
def _counter() -> Iterator[IO[bytes]]:
    """Return the file that holds an inspection's row count; other programs may remove it."""
    with NamedTemporaryFile(prefix="duet-counted-", delete=False) as counter:
        try:
            yield counter
        finally:
            Path(counter.name).unlink(missing_ok=True)


class _Progress:
    """Stores an inspection's progress, which is shown to the file's owner."""

    def __init__(self, database: Database, claim: ToInspect, counter: IO[bytes]) -> None:
        self._database = database
        self._claim = claim
        self._counter = counter
        self._told = 0
        self._told_at = time.monotonic()

    def tell(self) -> None:
        """Store the number of rows read, at most once a second; an outage only delays it."""
        try:
            num_rows = read_counter(self._counter)
        except OSError:
            return
        if num_rows == self._told or time.monotonic() - self._told_at < TELL_SECONDS:
            return
        self._told, self._told_at = num_rows, time.monotonic()
        try:
            with self._database.session() as session:
                file_inspections.note_progress(session, self._claim, num_rows)
        except OperationalError as error:
            self._database.troubles.tell("inspection_progress_not_stored", error)


def _unable(error: OSError, claim: ToInspect) -> Inspection:
    """Return the result after the last inspection that the machine could not run."""
    log.error("inspection_failed", file=encode("file", claim.file_id), exc_info=error)
    why = error.strerror or type(error).__name__
    said = (
        f"the server could not check this file, {claim.number} times ({why}): upload it again "
        "later; if that fails too, report it to the server's operator"
    )
    return Inspection(problems=(said,))


def _unexpected(error: Exception, claim: ToInspect) -> Inspection:
    """Return the result of an inspection that failed unexpectedly."""
    file = encode("file", claim.file_id)
    log.error("inspection_failed", file=file, exc_info=error)
    said = (
        f"the check of this file failed unexpectedly ({type(error).__name__}): upload it again in "
        "another format, such as JSONL; if that fails too, report it to the server's operator"
    )
    return Inspection(problems=(said,))
