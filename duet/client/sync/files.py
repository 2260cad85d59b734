# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Data files."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from duet.client.partial_file import check_file
from duet.client.progress import Counted, Progress, Tally
from duet.client.sync.downloads import fetch
from duet.client.sync.transport import Transport, read
from duet.errors import Refused
from duet.objects.file import File, Preview

FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 5.0
"""Interval between polls of a file that is being checked."""


class Files:
    """`client.files`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def upload(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        checking: Callable[[File], None] | None = None,
    ) -> File:
        """Upload a JSONL, CSV or Parquet file, and wait until the server has checked it.

        Args:
            checking: called with the file while the server checks it in the background.

        Raises:
            InvalidRequest: the format is not supported, or a line is invalid, which the message
                names.
            Refused: the same, found in the background check of a large file.
        """
        path = Path(path)
        with Counted(path, progress) as counted:
            answer = self._http.call(
                "POST", "/v1/files", files={"file": (path.name, counted)}, repeatable=False
            )
        file, pause = read(File, answer), FIRST_PAUSE_SECONDS
        while file.status == "processing":
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)
            file = self.get(file.id)
            if checking and file.status == "processing":
                checking(file)
        if file.problems:
            raise Refused(f"{path.name} cannot be used: {'; '.join(file.problems)}")
        return file

    def get(self, file: str) -> File:
        return self._http.get(f"/v1/files/{file}", File)

    def list(self, *, sha256: str | None = None, limit: int | None = None) -> Iterator[File]:
        """List the files, newest first; `sha256`: only files with this content."""
        return self._http.pages("/v1/files", File, limit=limit, sha256=sha256)

    def preview(self, file: str) -> Preview:
        """Return a file's first rows."""
        return self._http.get(f"/v1/files/{file}/preview", Preview)

    def download(
        self,
        file: str,
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        force: bool = False,
    ) -> Path:
        """Download a file to `path`, checked against its sha256; an interrupted download is
        resumed.

        Raises:
            Refused: `path` has other content; `force` overwrites it.
        """
        wanted = self.get(file)
        if not force:
            check_file(Path(path), wanted.sha256, wanted.bytes)
        return fetch(
            self._http,
            f"/v1/files/{file}/content",
            Path(path),
            sha256=wanted.sha256,
            num_bytes=wanted.bytes,
            tally=Tally(progress, wanted.bytes),
        )

    def delete(self, file: str) -> None:
        self._http.delete(f"/v1/files/{file}")
