"""The right of one process to write into a folder."""

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
    """Hold a folder, made where it is missing; the kernel lets go of it when this process ends,
    however it ends.

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
                f"{folder} is in use: process {lock.read().strip()} writes into it.  Wait for its "
                "end or give another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
