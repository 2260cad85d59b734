"""The error responses that the OpenAPI document lists for each kind of route."""

from typing import Any

from api.errors.problems import MEDIA_TYPE, ProblemDocument

REASONS = {
    400: "The body or the `Range` header is malformed.",
    401: "The API key is missing or not valid.",
    403: "The key lacks the required scope.",
    404: "Not found in this project.",
    409: "Not possible in the resource's current state.",
    413: "The body is too large.",
    415: "The body is not multipart/form-data.",
    416: ("The `Range` is outside the file; `Content-Range` has the file's size."),
    422: "A field or parameter is not valid; `errors` names each.",
    429: (
        "Rate limit exceeded, or the project's queue limit is reached; "
        "`Retry-After` says when to retry."
    ),
    507: "The server has no storage left.",
    503: (
        "The database or the artifact store is unavailable, or the server is busy "
        "testing rewards for other requests; nothing was stored."
    ),
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that needs a key, with further errors of its own."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {"description": REASONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }
