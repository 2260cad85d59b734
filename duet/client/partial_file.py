"""A file as it arrives: beside its place until it is whole and what the server keeps."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from duet.errors import Damaged, DuetError, Refused

BLOCK_BYTES = 1 << 20


class Part:
    """Bytes of a file that were fetched, now or by an earlier download that broke off.

    Its name holds the sha256 of what is to come, so it is only gone on with for the same content.
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
        """Ask for what is missing, and for everything should the file have changed."""
        if self.num_there == 0:
            return {}
        return {"Range": f"bytes={self.num_there}-", "If-Range": f'"{self.sha256}"'}

    def begin(self, status: int) -> int:
        """What comes is the rest (206), or all of it anew: then what was there is gone.

        Returns how many bytes more there are now: none, or less than none.
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
        """Keep what is there, for another download to go on with."""
        self._out.close()

    def finish(self) -> None:
        """Put it in its place.

        Raises:
            Damaged: it is not what the server keeps; what was fetched is removed.
        """
        self._out.close()
        if self._digest.hexdigest() != self.sha256:
            self._path.unlink()
            raise Damaged(
                f"{self.target.name} arrived damaged (its sha256 differs): download it again"
            )
        self._path.replace(self.target)


def is_there(target: Path, sha256: str, num_bytes: int) -> bool:
    """Whether a file is already what it would be downloaded as."""
    same_size = target.is_file() and target.stat().st_size == num_bytes
    return same_size and _digest_of(target).hexdigest() == sha256


def check_file(target: Path, sha256: str, num_bytes: int) -> None:
    """See that a download writes over nothing.

    Raises:
        Refused: something else is there.
    """
    if target.exists() and not is_there(target, sha256, num_bytes):
        raise Refused(f"{target} holds something else: {_ELSEWHERE}")


def check_folder(folder: Path, wanted: Mapping[Path, tuple[str, int]]) -> None:
    """See that a folder holds nothing but files of these targets, by their sha256 and size, whole
    or in part.

    Raises:
        Refused: something else is there.
    """
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is no folder: {_ELSEWHERE}")
    parts = {part_of(target, sha256) for target, (sha256, _) in wanted.items()}
    for path in folder.resolve().rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        if path not in parts and not (path in wanted and is_there(path, *wanted[path])):
            found = path.relative_to(folder.resolve())
            raise Refused(f"{folder} holds something else, such as {found}: {_ELSEWHERE}")


_ELSEWHERE = "choose another place, or write over it with --force (force=True in Python)"


def part_of(target: Path, sha256: str) -> Path:
    """Where the bytes that are to become this file are kept until it is whole."""
    return target.with_name(f"{target.name}.{sha256[:12]}.part")


def inside(folder: Path, path: str) -> Path:
    """Where a file of a manifest goes; a manifest can not write elsewhere."""
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
