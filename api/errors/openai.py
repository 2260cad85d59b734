"""Errors as OpenAI's client reads them: {"error": {message, type, param, code}}."""

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
"""The client repeats every 409 and 5xx, and no repetition changes these."""


def envelope(problem: Problem) -> JSONResponse:
    """A field that is wrong answers 400, as OpenAI's does, and `param` names it."""
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
