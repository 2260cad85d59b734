"""Errors as answers: RFC 9457 problems with a stable code, from one table."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from grpo.spec.resolve import SpecError
from grpo.values.field_errors import either, in_words
from store.errors import (
    ArtifactDamaged,
    ArtifactError,
    ArtifactMissing,
    Conflict,
    DatabaseUnusable,
    KeyBusy,
    KeyReused,
    NotFound,
    QuotaExceeded,
    ScopeMissing,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
QUOTA_RETRY_SECONDS = 60
MAX_ERRORS = 100  # fields reported in one answer
DATABASE_AWAY = "the database is unavailable: nothing was stored; retry shortly"
ARTIFACTS_AWAY = (
    "the artifact store is unavailable: retry shortly; the server's log has the details"
)
FILE_LOST = (
    "a stored file is missing or damaged: ask the server's operator; the server's log names it"
)

log = structlog.get_logger()


class FieldProblem(BaseModel):
    """One invalid field."""

    model_config = ConfigDict(frozen=True)

    detail: str = Field(description="A sentence that says how to correct the field.")
    pointer: str | None = Field(default=None, description="JSON pointer into the request's body.")
    parameter: str | None = Field(default=None, description="Name of a query parameter or header.")


class ProblemDocument(BaseModel):
    """An error as an RFC 9457 problem."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="Stable: `urn:duet:problem:` and the code.")
    title: str = Field(description="HTTP status text.")
    status: int
    code: str = Field(description="Stable code for programs.")
    detail: str = Field(description="Description for people.")
    errors: list[FieldProblem] = []


class Problem(Exception):
    """An error of a route or dependency that becomes the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers

    def answer(self) -> JSONResponse:
        document = ProblemDocument(
            type=f"urn:duet:problem:{self.code}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            code=self.code,
            detail=self.detail,
            errors=self.errors,
        )
        return JSONResponse(
            document.model_dump(exclude_none=True),
            self.status,
            headers=self.headers,
            media_type=MEDIA_TYPE,
        )


def invalid_spec(problems: Sequence[tuple[str, str]]) -> Problem:
    """Problem with every invalid field of a spec: (pointer, detail)."""
    errors = [FieldProblem(detail=detail, pointer=pointer) for pointer, detail in problems]
    return Problem(422, "invalid_spec", _summary(errors), errors=errors)


def as_problem(error: Exception) -> Problem:
    """Return the problem of an exception in the table; any other exception is an internal error."""
    if isinstance(error, Problem):
        return error
    for kind, translate in _TABLE.items():
        if isinstance(error, kind):
            return translate(error)
    return Problem(500, "internal_error", "internal server error; the server's log has the details")


def invalid_fields(errors: Sequence[FieldProblem]) -> Problem:
    """Problem with every invalid field of a request."""
    return Problem(422, "invalid_request", _summary(errors), errors=errors)


def _from_validation(error: RequestValidationError) -> Problem:
    """One problem for each field, which joins those of a union's alternatives."""
    details: dict[tuple[str | None, str | None], list[str]] = {}
    for item in error.errors()[:MAX_ERRORS]:
        details.setdefault(_field_of(item), []).append(in_words(item))
    return invalid_fields(
        [
            FieldProblem(detail=either(of_field), pointer=pointer, parameter=parameter)
            for (pointer, parameter), of_field in details.items()
        ]
    )


def _field_of(item: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return the field's JSON pointer into the body, or the parameter's name."""
    where, *steps = item["loc"]
    if where == "body":
        return "".join(f"/{str(s).replace('~', '~0').replace('/', '~1')}" for s in steps), None
    return None, str(steps[0])


def _summary(errors: Sequence[FieldProblem]) -> str:
    first = errors[0]
    named = f"{first.pointer or first.parameter or 'the request'}: {first.detail}"
    return named if len(errors) == 1 else f"{named} (and {len(errors) - 1} more)"


def _from_http(error: HTTPException) -> Problem:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    headers = dict(error.headers) if error.headers else None
    return Problem(error.status_code, code, str(error.detail), headers=headers)


def _from_database(error: Exception) -> Problem:
    log.error("database_unavailable", error=str(error).splitlines()[0])
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(503, "database_unavailable", DATABASE_AWAY, headers=headers)


def _from_quota(error: QuotaExceeded) -> Problem:
    headers = {"Retry-After": str(QUOTA_RETRY_SECONDS)}
    return Problem(429, "quota_exceeded", str(error), headers=headers)


def _from_artifacts(error: Exception) -> Problem:
    log.error("artifact_unavailable", error=str(error))
    is_lost = isinstance(error, ArtifactMissing | ArtifactDamaged)
    return Problem(503, "artifact_unavailable", FILE_LOST if is_lost else ARTIFACTS_AWAY)


_TABLE: dict[type[Exception], Any] = {
    NotFound: lambda error: Problem(404, "not_found", str(error)),
    KeyReused: lambda error: Problem(422, "idempotency_key_reused", str(error)),
    KeyBusy: lambda error: Problem(409, "idempotency_key_busy", str(error)),
    Conflict: lambda error: Problem(409, "conflict", str(error)),
    QuotaExceeded: _from_quota,
    ScopeMissing: lambda error: Problem(403, "scope_missing", str(error)),
    SpecError: lambda error: invalid_spec(error.problems),
    ArtifactError: _from_artifacts,
    RequestValidationError: _from_validation,
    HTTPException: _from_http,
    OperationalError: _from_database,
    DatabaseUnusable: _from_database,
    InterfaceError: _from_database,
    PoolTimeoutError: _from_database,
}

KNOWN = (Problem, *_TABLE)
"""The exceptions with a defined answer; any other is an internal error."""
