"""A file during its download, kept next to its target until it is complete and verified."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from duet.errors import Damaged, DuetError, Refused

BLOCK_BYTES = 1 << 20


class Part:
    """The downloaded part of a file, by this download or an earlier, interrupted one.

    Its name contains the expected sha256, so a download is only resumed for the same content.
    """

    def __init__(self, target: Path, sha256: str, num_bytes: int) -> None:
        self.target = target
        self.sha256 = sha256
        self.num_bytes = num_bytes
        self._path = part_of(target, sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._out = self._path.open("ab")
        self._digest = _digest_of(self._path)

    @property
    def num_there(self) -> int:
        return self._out.tell()

    @property
    def complete(self) -> bool:
        return self.num_there >= self.num_bytes

    @property
    def headers(self) -> dict[str, str]:
        """Headers that request the missing bytes, or the complete file if it has changed."""
        if self.num_there == 0:
            return {}
        return {"Range": f"bytes={self.num_there}-", "If-Range": f'"{self.sha256}"'}

    def begin(self, status: int) -> int:
        """Prepare for the rest of the file (206), or for the complete file, dropping the old part.

        Returns the change in the number of bytes kept: zero or negative.
        """
        if status == 206:
            return 0
        num_lost = self.num_there
        self._out.seek(0)
        self._out.truncate()
        self._digest = hashlib.sha256()
        return -num_lost

    def write(self, block: bytes) -> None:
        self._digest.update(block)
        self._out.write(block)

    def close(self) -> None:
        """Keep the part, so that another download can resume it."""
        self._out.close()

    def finish(self) -> None:
        """Move the complete file to its target.

        Raises:
            Damaged: the file's sha256 differs from the server's; the part is removed.
        """
        self._out.close()
        if self._digest.hexdigest() != self.sha256:
            self._path.unlink()
            raise Damaged(
                f"{self.target.name} arrived damaged (its sha256 differs): download it again"
            )
        self._path.replace(self.target)


def is_there(target: Path, sha256: str, num_bytes: int) -> bool:
    """Whether a file already has the content to be downloaded."""
    same_size = target.is_file() and target.stat().st_size == num_bytes
    return same_size and _digest_of(target).hexdigest() == sha256


def check_file(target: Path, sha256: str, num_bytes: int) -> None:
    """Check that a download overwrites nothing.

    Raises:
        Refused: other content exists there.
    """
    if target.exists() and not is_there(target, sha256, num_bytes):
        raise Refused(f"{target} has other content: {_ELSEWHERE}")


def check_folder(folder: Path, wanted: Mapping[Path, tuple[str, int]]) -> None:
    """Check that a folder contains only these targets, complete or in part, by sha256 and size.

    Raises:
        Refused: other content exists there.
    """
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is not a folder: {_ELSEWHERE}")
    parts = {part_of(target, sha256) for target, (sha256, _) in wanted.items()}
    for path in folder.resolve().rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        if path not in parts and not (path in wanted and is_there(path, *wanted[path])):
            found = path.relative_to(folder.resolve())
            raise Refused(f"{folder} contains other files, such as {found}: {_ELSEWHERE}")


_ELSEWHERE = "choose another path, or overwrite with --force (force=True in Python)"


def part_of(target: Path, sha256: str) -> Path:
    """Path of the part of a file during its download."""
    return target.with_name(f"{target.name}.{sha256[:12]}.part")


def inside(folder: Path, path: str) -> Path:
    """Return the path of a manifest's file below `folder`; files elsewhere are refused."""
    target = (folder / path).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise DuetError(
            f"the checkpoint names a file outside its folder ({path!r}): not downloaded"
        )
    return target


def _digest_of(path: Path) -> "hashlib._Hash":
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest
