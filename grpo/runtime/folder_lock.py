"""An exclusive lock on a folder, held by the only process that writes into it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


class FolderInUse(ValueError):
    """Another process writes into the folder."""


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Lock a folder, creating it if missing; the kernel releases the lock when this process ends,
    even if it is killed.

    Raises:
        FolderInUse: another process holds it.
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FolderInUse(
                f"{folder} is in use by process {lock.read().strip()}: wait until it ends or use "
                "another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
