"""Folders supplied by users: their files, and the targets of their symbolic links."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_ENTRIES = 100_000


class FolderRefused(ValueError):
    """The folder was rejected; the message gives the reason."""


def plain_files(folder: Path) -> Iterator[str]:
    """Yield the names of all files in the folder, except hidden ones.

    Raises:
        FolderRefused: a link points outside it, or it holds more than `MAX_ENTRIES`.
    """
    home = home_of(folder)
    for path in _entries(folder):
        _check_link(path, folder, lambda target: target.is_relative_to(home))
        inside = path.relative_to(folder)
        hidden = any(part.startswith((".", "__")) for part in inside.parts)
        if not hidden and path.is_file():
            yield inside.as_posix()


def check_links(folder: Path, allowed: Callable[[Path], bool]) -> None:
    """
    Raises:
        FolderRefused: a link's target is not allowed, or there are more than `MAX_ENTRIES`.
    """
    for path in _entries(folder):
        _check_link(path, folder, allowed)


def home_of(folder: Path) -> Path:
    """Return the folder that links may point into: the folder itself, or the cached repository if
    it is a snapshot in the hub's cache."""
    resolved = folder.resolve()
    repository = resolved.parents[1] if len(resolved.parents) > 1 else resolved
    cached = resolved.parent.name == "snapshots" and (repository / "blobs").is_dir()
    return repository if cached else resolved


def _entries(folder: Path) -> Iterator[Path]:
    """Yield all entries of the folder, without following links."""
    number = 0
    for where, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted((*folders, *files)):
            number += 1
            if number > MAX_ENTRIES:
                raise FolderRefused(f"it holds more than {MAX_ENTRIES} files and folders")
            yield Path(where, name)


def _check_link(path: Path, folder: Path, allowed: Callable[[Path], bool]) -> None:
    if path.is_symlink() and not allowed(path.resolve()):
        name = str(path.relative_to(folder))
        raise FolderRefused(f"{name!r} in it is a symbolic link that points outside the folder")
