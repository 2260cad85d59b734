"""`/docs` and `/openapi.json`: rendered once, sent without authentication."""

import hashlib
import json
from collections.abc import Callable
from functools import cache

from fastapi import FastAPI, Request, Response

from api.dependencies.services import FromServices
from api.docs.reference import render
from api.downloads.etag import is_known
from api.limits.rate_limits import check_address


def serve(app: FastAPI) -> None:
    def openapi() -> bytes:
        return json.dumps(app.openapi(), ensure_ascii=False).encode()

    def reference() -> bytes:
        return render(app.openapi()).encode()

    for path, make, media_type in (
        ("/openapi.json", openapi, "application/json"),
        ("/docs", reference, "text/html; charset=utf-8"),
    ):
        app.add_api_route(path, _page(make, media_type), include_in_schema=False)


def _page(make: Callable[[], bytes], media_type: str) -> Callable[..., Response]:
    @cache
    def made() -> tuple[bytes, str]:
        content = make()
        return content, f'"{hashlib.sha256(content).hexdigest()}"'

    def read_page(request: Request, services: FromServices) -> Response:
        check_address(request, services.rate_limits)
        content, etag = made()
        if is_known(request, etag):
            return Response(status_code=304, headers={"ETag": etag})
        return Response(content, media_type=media_type, headers={"ETag": etag})

    return read_page
