"""Downloads from the artifact store: from local disk, by redirect to a signed URL, or streamed
through."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from api.dependencies.services import Services
from api.downloads.etag import UNCHANGED, is_known
from store.artifacts.artifacts import BLOCK_BYTES, Artifacts
from store.errors import ArtifactMissing

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
MEDIA_TYPE = "application/octet-stream"  # browsers save the file instead of displaying it
CONTENT = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
DOWNLOADED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": CONTENT},
    206: {
        "description": "The requested range.",
        "content": {**CONTENT, "multipart/byteranges": {"schema": {"type": "string"}}},
    },
    **UNCHANGED,
    307: {
        "description": (
            "The file is on S3: `Location` is a signed URL there, valid for ten minutes."
        )
    },
}
"""The `responses` of a download route, in addition to the problems 400, 404 and 416."""


@dataclass(frozen=True)
class Stored:
    """A file of the artifact store, and its name for the client."""

    key: str
    name: str
    sha256: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": f'"{self.sha256}"',
            "Accept-Ranges": "bytes",
            "Content-Disposition": f"attachment; filename*=utf-8''{quote(self.name, safe='')}",
        }


def download(request: Request, services: Services, stored: Stored) -> Response:
    """A file whose ETag is its sha256; Range and If-Range are supported.

    Raises:
        ArtifactMissing: the file is not in the store.
    """
    etag = stored.headers["ETag"]
    if is_known(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    path = services.artifacts.local(stored.key)
    if path is not None and not path.is_file():
        raise ArtifactMissing(f"{stored.name} is missing from the artifact store")
    if path is not None:
        return FileResponse(
            path, media_type=MEDIA_TYPE, filename=stored.name, headers={"ETag": etag}
        )
    if services.settings.redirect_downloads:
        method = cast(Literal["GET", "HEAD"], request.method)
        if url := services.artifacts.signed_url(stored.key, method=method):
            return RedirectResponse(url, headers={"Cache-Control": "no-store"})
    return _passed_through(request, services.artifacts, stored)


def _passed_through(request: Request, artifacts: Artifacts, stored: Stored) -> Response:
    content = artifacts.open(stored.key)
    num_bytes = content.seek(0, 2)
    match _range(request, num_bytes, stored.headers["ETag"]):
        case None:
            start, end, status, ranged = 0, num_bytes, 200, {}
        case (start, end) if start < end:
            status, ranged = 206, {"Content-Range": f"bytes {start}-{end - 1}/{num_bytes}"}
        case _:
            content.close()
            return Response(status_code=416, headers={"Content-Range": f"bytes */{num_bytes}"})
    headers = {**stored.headers, **ranged, "Content-Length": str(end - start)}
    if request.method == "HEAD":
        content.close()
        return Response(status_code=status, headers=headers, media_type=MEDIA_TYPE)
    return StreamingResponse(
        _part(content, start, end), status, headers=headers, media_type=MEDIA_TYPE
    )


def _range(request: Request, num_bytes: int, etag: str) -> tuple[int, int] | None:
    """The requested bytes [from, to); None: all. A request for several ranges is answered with the
    whole file."""
    requested = RANGE.fullmatch(request.headers.get("range", ""))
    if requested is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = requested.groups()
    if not first:
        return (max(num_bytes - int(last), 0), num_bytes) if last else None
    return int(first), min(int(last) + 1, num_bytes) if last else num_bytes


def _part(content: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with content:
        content.seek(start)
        while start < end and (block := content.read(min(BLOCK_BYTES, end - start))):
            start += len(block)
            yield block
