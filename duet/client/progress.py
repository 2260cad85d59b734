"""Progress of an upload or a download."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from duet.errors import Refused

Progress = Callable[[int, int], None]
"""Callback with the number of bytes transferred so far, and the total."""


class Tally:
    """The sum of the bytes received over several files."""

    def __init__(self, progress: Progress | None, total_bytes: int) -> None:
        self._progress = progress
        self._total_bytes = total_bytes
        self._num_bytes = 0

    def add(self, num_bytes: int) -> None:
        """Add received bytes; negative if a file restarts."""
        self._num_bytes += num_bytes
        if self._progress and num_bytes:
            self._progress(self._num_bytes, self._total_bytes)


class Counted:
    """A file that reports how much of it has been read, as httpx sends it.

    Raises:
        Refused: it cannot be opened.
    """

    def __init__(self, path: Path, progress: Progress | None) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}") from error
        self._num_bytes = path.stat().st_size
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        if self._progress and block:
            self._progress(self._file.tell(), self._num_bytes)
        return block

    def seek(self, offset: int) -> int:
        """Seek; a retried request reads the file from its start."""
        return self._file.seek(offset)

    def fileno(self) -> int:
        """File descriptor, from which httpx finds the length."""
        return self._file.fileno()
