"""Errors in OpenAI's format: {"error": {message, type, param, code}}."""

from fastapi.responses import JSONResponse

from api.errors.problems import Problem

PREFIX = "/openai/"

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
NOT_RETRIED = {"conflict", "idempotency_key_reused", "store_full"}
"""Header that disables retries: the client retries every 409 and 5xx, which cannot help here."""


def envelope(problem: Problem) -> JSONResponse:
    """The answer to an error: an invalid field is a 400, as with OpenAI, and `param` names it."""
    status = 400 if problem.status == 422 else problem.status
    first = problem.errors[0] if problem.errors else None
    pointer = first and first.pointer
    error = {
        "message": problem.detail,
        "type": "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error"),
        "param": pointer.strip("/").replace("/", ".") if pointer else first and first.parameter,
        "code": problem.code,
    }
    headers = dict(problem.headers or {})
    if problem.code in NOT_RETRIED:
        headers["x-should-retry"] = "false"
    return JSONResponse({"error": error}, status, headers=headers)
