"""The errors that the OpenAPI document promises for each kind of route."""

from typing import Any

from api.errors.problems import MEDIA_TYPE, ProblemDocument

REASONS = {
    400: "The body cannot be read, or the `Range`.",
    401: "No valid API key.",
    403: "The key lacks the scope.",
    404: "There is no such thing in this project.",
    409: "The present state does not allow it.",
    413: "The body is too large.",
    415: "The body is not multipart/form-data.",
    416: "The `Range` lies outside the file; `Content-Range` says how long it is.",
    422: "A field or parameter is wrong; `errors` names each.",
    429: "Too many requests a minute, or as many jobs of this project wait as may; `Retry-After` "
    "says when to try again.",
    507: "The server has no room for it.",
    503: "The database or the artifact store cannot be reached, or others' rewards are tried just "
    "now; nothing was stored.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that needs a key, with further errors of its own."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {"description": REASONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }
