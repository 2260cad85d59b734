"""Conditional answers: ETag and 304."""

import hashlib
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "`If-None-Match` names the current ETag."}
}


def tagged(
    request: Request, view: BaseModel, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the view as JSON with a strong ETag, or 304 if the client has this version."""
    body = view.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    sent = {**(headers or {}), "ETag": etag}
    if is_known(request, etag):
        return Response(status_code=304, headers=sent)
    return Response(body, media_type="application/json", headers=sent)


def is_known(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` names this version (RFC 9110, 13.1.2: by weak comparison)."""
    named = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in named.split(",")}
    return etag in tags or "*" in tags
