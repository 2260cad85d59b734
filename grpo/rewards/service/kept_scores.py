"""Scores of services, kept by the key of their question: in a run's folder and its checkpoints.

A resumed run has the same scores as an uninterrupted one, even if a judge would answer differently
now; and no question is paid for twice.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path

FILE = "scores.sqlite"
MOST_SCORES = 200_000
"""Kept scores, some 20 MB; the oldest are removed first."""
KEYS_AT_ONCE = 500


Rows = Sequence[tuple[bytes, float]]
"""Keys and scores in the order in which they were kept."""


class KeptScores:
    """A file of scores, or None: in memory; may be used by several threads."""

    def __init__(self, path: Path | None, *, most: int = MOST_SCORES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._connection = _opened(":memory:" if path is None else path)

    def find(self, keys: Sequence[str]) -> dict[str, float]:
        """Return the known scores among some keys."""
        found: dict[str, float] = {}
        rest = iter(keys)
        with self._lock:
            while some := list(islice(rest, KEYS_AT_ONCE)):
                marks = ",".join("?" * len(some))
                rows = self._connection.execute(
                    f"select key, score from scores where key in ({marks})",
                    [bytes.fromhex(key) for key in some],
                )
                found |= {key.hex(): score for key, score in rows}
        return found

    def keep(self, scores: Mapping[str, float]) -> None:
        """Add scores in their order; one that is known stays as it is.

        Raises:
            OSError: the disk is full.
        """
        rows = [(bytes.fromhex(key), score) for key, score in scores.items()]
        try:
            with self._lock, self._connection as connection:
                connection.executemany(
                    "insert or ignore into scores (key, score) values (?, ?)", rows
                )
                connection.execute(
                    "delete from scores where number <= (select max(number) from scores) - ?",
                    [self._most],
                )
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), FILE) from error
            raise

    def snapshot(self) -> Rows:
        """Return all scores, to which later ones are not added."""
        with self._lock:
            rows = self._connection.execute("select key, score from scores order by number")
            return rows.fetchall()

    def add_from(self, paths: Iterable[Path]) -> None:
        """Add the scores of files that are there and can be read, one after another."""
        for path in paths:
            if path.is_file():
                with suppress(sqlite3.DatabaseError):  # cut off with the process that wrote it
                    self.keep(_all(path))

    def close(self) -> None:
        self._connection.close()


def write_scores(path: Path, scores: Rows) -> None:
    """Write scores to a new file, which has the same bytes wherever they are the same."""
    with closing(_opened(path)) as copy, copy:
        copy.executemany("insert into scores (key, score) values (?, ?)", scores)


@contextmanager
def kept_for_now(*folders: Path) -> Iterator[KeptScores]:
    """Yield the scores of some folders, to which more are added in memory alone."""
    with closing(KeptScores(None)) as kept:
        kept.add_from(folder / FILE for folder in folders)
        yield kept


def _opened(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    # A killed process loses nothing; a crash of the machine may, but then the attempt restarts
    # anyway.
    connection.execute("pragma synchronous = off")
    connection.execute(
        "create table if not exists scores "
        "(number integer primary key, key blob not null unique, score real not null)"
    )
    return connection


def _all(path: Path) -> dict[str, float]:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        rows = connection.execute("select key, score from scores order by number")
        return {key.hex(): score for key, score in rows}
