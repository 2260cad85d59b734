"""Data files."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.to_thread

from duet.client.aio.downloads import fetch
from duet.client.aio.transport import AsyncTransport, read
from duet.client.partial_file import check_file
from duet.client.progress import Counted, Progress, Tally
from duet.errors import Refused
from duet.objects.file import File, Preview

FIRST_PAUSE_SECONDS = 0.3
LONGEST_PAUSE_SECONDS = 5.0
"""Interval between polls of a file that is being checked."""


class AsyncFiles:
    """`client.files`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def upload(
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
            answer = await self._http.call(
                "POST", "/v1/files", files={"file": (path.name, counted)}, repeatable=False
            )
        file, pause = read(File, answer), FIRST_PAUSE_SECONDS
        while file.status == "processing":
            await anyio.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)
            file = await self.get(file.id)
            if checking and file.status == "processing":
                checking(file)
        if file.problems:
            raise Refused(f"{path.name} cannot be used: {'; '.join(file.problems)}")
        return file

    async def get(self, file: str) -> File:
        return await self._http.get(f"/v1/files/{file}", File)

    def list(self, *, sha256: str | None = None, limit: int | None = None) -> AsyncIterator[File]:
        """List the files, newest first; `sha256`: only files with this content."""
        return self._http.pages("/v1/files", File, limit=limit, sha256=sha256)

    async def preview(self, file: str) -> Preview:
        """Return a file's first rows."""
        return await self._http.get(f"/v1/files/{file}/preview", Preview)

    async def download(
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
        wanted = await self.get(file)
        if not force:
            await anyio.to_thread.run_sync(check_file, Path(path), wanted.sha256, wanted.bytes)
        return await fetch(
            self._http,
            f"/v1/files/{file}/content",
            Path(path),
            sha256=wanted.sha256,
            num_bytes=wanted.bytes,
            tally=Tally(progress, wanted.bytes),
        )

    async def delete(self, file: str) -> None:
        await self._http.delete(f"/v1/files/{file}")
