# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Data files."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from duet.client.partial_file import check_file
from duet.client.progress import Counted, Progress, Tally
from duet.client.sync.downloads import fetch
from duet.client.sync.transport import Transport, read
from duet.errors import Refused
from duet.objects.file import File, Preview

FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 5.0
"""Between two looks at a file that is being checked."""


class Files:
    """`client.files`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def upload(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> File:
        """Send a JSONL or Parquet file, and wait until the server has checked it.

        Raises:
            InvalidRequest: it is neither, or a line is wrong; the message names it.
            Refused: as above, of a file that is too large to be checked while it arrives.
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
        if file.problems:
            raise Refused(f"{path.name} cannot be used: {'; '.join(file.problems)}")
        return file

    def get(self, file: str) -> File:
        return self._http.get(f"/v1/files/{file}", File)

    def list(self, *, sha256: str | None = None, limit: int | None = None) -> Iterator[File]:
        """The newest first; `sha256`: only files with this content."""
        return self._http.pages("/v1/files", File, limit=limit, sha256=sha256)

    def preview(self, file: str) -> Preview:
        """Its first rows."""
        return self._http.get(f"/v1/files/{file}/preview", Preview)

    def download(
        self,
        file: str,
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        force: bool = False,
    ) -> Path:
        """Write it to `path`, checked against its sha256; one that broke off is gone on with.

        Raises:
            Refused: `path` holds something else, unless that may go by `force`.
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
