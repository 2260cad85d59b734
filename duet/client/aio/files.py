"""Data files."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from duet.client.aio.downloads import fetch
from duet.client.aio.transport import AsyncTransport, read
from duet.client.progress import Counted, Progress, Tally
from duet.objects.file import File, Preview


class AsyncFiles:
    """`client.files`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def upload(
        self, path: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> File:
        """Send a JSONL or Parquet file; it is checked as it arrives.

        Raises:
            InvalidRequest: it is neither, or a line is wrong; the message names it.
        """
        path = Path(path)
        with Counted(path, progress) as counted:
            answer = await self._http.call(
                "POST", "/v1/files", files={"file": (path.name, counted)}, repeatable=False
            )
        return read(File, answer)

    async def get(self, file: str) -> File:
        return await self._http.get(f"/v1/files/{file}", File)

    def list(self, *, sha256: str | None = None, limit: int | None = None) -> AsyncIterator[File]:
        """The newest first; `sha256`: only files with this content."""
        return self._http.pages("/v1/files", File, limit=limit, sha256=sha256)

    async def preview(self, file: str) -> Preview:
        """Its first rows."""
        return await self._http.get(f"/v1/files/{file}/preview", Preview)

    async def download(
        self, file: str, path: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> Path:
        """Write it to `path`, checked against its sha256; one that broke off is gone on with."""
        wanted = await self.get(file)
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
