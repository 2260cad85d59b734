"""The artifact store on S3 or a compatible service."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from store.artifacts.artifacts import MANIFEST, Artifacts, steps_of
from store.artifacts.s3_environment import check_profile, trusted_certificates
from store.artifacts.s3_failure import SETTINGS, failure_of, unusable_settings
from store.errors import ArtifactError, ArtifactMissing, ArtifactsRefused

if TYPE_CHECKING:
    from obstore.store import ClientConfig

READ_BYTES = 8 * 2**20
PART_BYTES = 16 * 2**20
MAX_PARTS = 10_000  # of one upload, by the protocol
PARTS_AT_ONCE = 4
REQUEST_SECONDS = 60  # with four parallel parts that is at least 9 Mbit/s
LIST_NAMES = 1000  # maximum that one request lists or removes
SIGNED_FOR = timedelta(minutes=10)
CLOCK = ".clock"  # written to read the store's clock
ATTRIBUTES = {
    # A browser that is redirected to a file saves it instead of displaying it.
    "Content-Disposition": "attachment",
    "Content-Type": "application/octet-stream",
}


class S3Artifacts(Artifacts):
    """Artifacts in one bucket below a prefix.

    S3 has no rename: a folder appears file by file with its manifest last, and counts once it has
    been read back and registered.  The AWS_... variables hold endpoint and credentials.
    """

    def __init__(self, url: str, *, retry_seconds: float) -> None:
        """`retry_seconds`: how long an unanswered request is retried.

        Raises:
            ArtifactsRefused: the address is not `s3://bucket` or `s3://bucket/prefix`.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ArtifactsRefused(f"ARTIFACTS_URL must be s3://bucket/prefix, not {url!r}")
        self._url = url
        check_profile(os.environ)
        bundle = trusted_certificates(os.environ)
        options: ClientConfig = {
            "allow_http": True,  # the endpoint is the operator's choice
            "timeout": timedelta(seconds=REQUEST_SECONDS),
        }
        if bundle is not None:
            options["root_certificate"] = bundle
        try:
            self._store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options=options,
                retry_config={
                    "max_retries": 1000,  # bounded by time instead
                    "retry_timeout": timedelta(seconds=retry_seconds),
                    "backoff": {"max_backoff": timedelta(seconds=5)},
                },
            )
        except (BaseError, ValueError) as error:
            reason = unusable_settings(str(error), os.environ)
            raise ArtifactsRefused(f"{url} cannot be used: {reason}; {SETTINGS}") from None

    def check(self) -> None:
        self._now()

    def local(self, key: str) -> None:
        steps_of(key)

    def signed_url(self, key: str, *, method: Literal["GET", "HEAD"]) -> str:
        steps_of(key)
        with self._asking_for(key):
            return obstore.sign(self._store, method, key, SIGNED_FOR)

    def put_folder(self, local: Path, key: str) -> None:
        paths = list(_files_in(local))
        self.delete(key)
        for path in sorted(paths, key=lambda path: path == local / MANIFEST):
            self.put_file(path, f"{key}/{path.relative_to(local).as_posix()}")

    def put_file(self, local: Path, key: str) -> None:
        steps_of(key)
        num_bytes = local.stat().st_size
        with self._asking_for(key):
            obstore.put(
                self._store,
                key,
                local,
                attributes=ATTRIBUTES,
                chunk_size=max(PART_BYTES, num_bytes // (MAX_PARTS - 1)),
                max_concurrency=PARTS_AT_ONCE,
            )

    def put_missing(self, local: Path, key: str) -> None:
        try:
            stored = self._num_bytes(key)
        except ArtifactMissing:
            stored = None
        if stored != local.stat().st_size:
            self.put_file(local, key)

    def names(self, key: str) -> list[str]:
        steps_of(key)
        with self._asking_for(key):
            listed = obstore.list_with_delimiter(self._store, key)
        paths = [*listed["common_prefixes"], *(entry["path"] for entry in listed["objects"])]
        return sorted(path.rpartition("/")[2] for path in paths)

    def age_seconds(self, key: str) -> float:
        """Return an age; a folder's is the age of its newest file."""
        written = [at for page in self._pages(key) for _, at in page]
        return (self._now() - max(written)).total_seconds() if written else 0

    def open(self, key: str) -> BufferedReader:
        return BufferedReader(_Content(self, key, self._num_bytes(key)), READ_BYTES)

    def read(self, key: str, start: int, end: int) -> bytes:
        """Read part of a file."""
        with self._asking_for(key):
            return obstore.get_range(self._store, key, start=start, end=end).to_bytes()

    def delete(self, key: str) -> None:
        for page in self._pages(key):
            with self._asking_for(key):
                obstore.delete(self._store, [path for path, _ in page])

    def _pages(self, key: str) -> Iterator[list[tuple[str, datetime]]]:
        """Yield the file and the files of the folder with that name, with their times, page by
        page.
        """
        steps_of(key)
        with self._asking_for(key):
            try:
                file = obstore.head(self._store, key)
            except FileNotFoundError:
                file = None
            if file is not None:
                yield [(key, file["last_modified"])]
            for page in obstore.list(self._store, key, chunk_size=LIST_NAMES):
                yield [(entry["path"], entry["last_modified"]) for entry in page]

    def _num_bytes(self, key: str) -> int:
        steps_of(key)
        with self._asking_for(key):
            try:
                return obstore.head(self._store, key)["size"]
            except FileNotFoundError:
                # A response to HEAD has no error code; one to GET names a missing bucket.
                return obstore.get(self._store, key).meta["size"]

    def _now(self) -> datetime:
        with self._asking_for(CLOCK):
            obstore.put(self._store, CLOCK, b"")
            return obstore.head(self._store, CLOCK)["last_modified"]

    @contextmanager
    def _asking_for(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._failed(error, ArtifactsRefused) from None
            raise ArtifactMissing(f"the file {key!r} is not in the artifact store") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise self._failed(error, ArtifactsRefused) from None
        except BaseError as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception, kind: type[ArtifactError] | None = None) -> ArtifactError:
        """Translate one of the library's errors; `kind`: the error's class, if its type determines
        it."""
        found, words = failure_of(str(error), os.environ)
        return (kind or found)(f"{self._url}: {words}; {SETTINGS}")


class _Content(RawIOBase):
    """A stored file, read in ranges that are retried individually after network failures; a growing
    file is read up to its size at opening."""

    def __init__(self, store: S3Artifacts, key: str, num_bytes: int) -> None:
        self._artifacts = store
        self._key = key
        self._num_bytes = num_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._num_bytes)[whence]
        return self._at

    def readall(self) -> bytes:
        """Read in large blocks; the base class would request 8 KiB at a time."""
        blocks = []
        while block := self.read(READ_BYTES):
            blocks.append(block)
        return b"".join(blocks)

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - typeshed's Buffer has no length
        end = min(self._at + len(buffer), self._num_bytes)
        if end <= self._at:
            return 0
        block = self._artifacts.read(self._key, self._at, end)
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)


def _files_in(folder: Path) -> Sequence[Path]:
    paths = sorted(folder.rglob("*"))
    for path in paths:
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ArtifactError(f"{path} is neither a file nor a folder: it cannot be stored")
    return [path for path in paths if path.is_file()]
