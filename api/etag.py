"""Answers that need not be sent again."""

import hashlib
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from store.errors import ArtifactError


def tagged(request: Request, view: BaseModel) -> Response:
    """The view as JSON with a strong ETag, or 304 when the client has it already."""
    body = view.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    if _has(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})


def download(request: Request, path: Path, *, name: str, sha256: str) -> Response:
    """A file whose ETag is its sha256; Range and If-Range are honoured.

    Whatever it holds, a browser saves it and does not run it.

    Raises:
        ArtifactError: it is not there.
    """
    if not path.is_file():
        raise ArtifactError(f"{name} is missing from the artifact store")
    etag = f'"{sha256}"'
    if _has(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return FileResponse(
        path, media_type="application/octet-stream", filename=name, headers={"ETag": etag}
    )


def _has(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` names this version (RFC 9110, 13.1.2: by weak comparison)."""
    named = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in named.split(",")}
    return etag in tags or "*" in tags
