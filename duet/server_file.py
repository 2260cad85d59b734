"""The file in a state folder with a server's address and key, read only if it can be trusted.

It determines where keys and data are sent, so only its user and root may be able to write it, as
git requires of a repository.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duet.errors import Refused

FILE_NAME = "server.json"
MOST_BYTES = 65_536
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_server_file(folder: Path) -> dict[str, Any]:
    """Return the file's fields; empty if there is no file.

    Raises:
        Refused: another user could have written it, or it is not a file of `duet up`.
    """
    path = folder / FILE_NAME
    try:
        with _opened(folder) as descriptor:
            content = os.read(descriptor, MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}. {_INSTEAD}") from error
    return _fields(path, content)


def check_folder(folder: Path) -> None:
    """Check that only this user and root can write into a folder, through any links to it.

    Raises:
        Refused: the folder, or a link that its path ends in, is another user's, or others may
            write into it.
    """
    _check(folder, folder.lstat())
    _check(folder, folder.stat())


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open the file, then check the opened file, so that it cannot be swapped in between."""
    _check(folder, folder.lstat())
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _check(folder, os.fstat(above))
        # O_NONBLOCK: opening a named pipe would block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        found = os.open(FILE_NAME, flags, dir_fd=above)
        try:
            _check(folder / FILE_NAME, os.fstat(found))
            yield found
        finally:
            os.close(found)
    finally:
        os.close(above)


def _check(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in {os.geteuid(), 0}:
        raise Refused(
            f"{path} belongs to another user (uid {found.st_uid}), so it is not trusted. {_INSTEAD}"
        )
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & OTHERS_WRITE:
        raise Refused(
            f"{path} can be written by other users (mode {stat.S_IMODE(found.st_mode):o}), so it "
            f"is not trusted: `chmod go-w {path}` if its content is yours. {_INSTEAD}"
        )


def _fields(path: Path, content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} is not valid JSON ({error}): remove it. {_INSTEAD}") from error
    text = isinstance(fields, dict) and all(
        isinstance(fields.get(name, ""), str) for name in ("url", "key")
    )
    if not text or ("url" in fields and "key" not in fields):
        raise Refused(f"{path} was not written by `duet up`: remove it. {_INSTEAD}")
    return fields


_INSTEAD = (
    "Use another folder, or name the server with --url and --key (or DUET_URL and DUET_API_KEY), "
    "`duet up --dir`"
)
