"""The request's body, read with a size limit before it is parsed."""

import hashlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.concurrency import run_in_threadpool

from api.dependencies.auth import Anyone
from api.errors.problems import FieldProblem, Problem, invalid_fields
from grpo.spec.resolve import steps_of
from grpo.values.strict_json import NotAnObject, ValuesRefused, read_object

Kind = TypeVar("Kind")

MAX_JSON_BYTES = 1024 * 1024
AT_ONCE_BYTES = 32 * 1024
"""A longer body is parsed in a thread, so that the event loop keeps serving others."""


@dataclass(frozen=True)
class JsonObject:
    """A JSON object as sent, and the hash of its bytes."""

    value: dict[str, Any]
    sha256: str


async def json_object(request: Request, caller: Anyone) -> JsonObject:  # noqa: ARG001
    """The body as a JSON object. A caller without a key is refused before any of it is read.

    Raises:
        Problem: the body is too large, not a JSON object, or holds a value that cannot be stored.
    """
    return await read_json(request, MAX_JSON_BYTES)


async def read_json(request: Request, max_bytes: int) -> JsonObject:
    """Read the body as a JSON object.

    Raises:
        Problem: the body is too large, not a JSON object, or holds a value that cannot be stored.
    """
    body = bytearray()
    async for chunk in bounded(request, max_bytes):
        body += chunk
    if len(body) > AT_ONCE_BYTES:
        return await run_in_threadpool(_parsed, bytes(body))
    return _parsed(bytes(body))


def _parsed(body: bytes) -> JsonObject:
    try:
        value = read_object(body)
    except NotAnObject as error:
        raise Problem(400, "invalid_json", str(error)) from None
    except ValuesRefused as error:
        problems = [FieldProblem(detail=detail, pointer=at) for at, detail in error.problems]
        raise invalid_fields(problems) from None
    return JsonObject(value, hashlib.sha256(body).hexdigest())


async def bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body's chunks, within the limit whatever length the client announced.

    Raises:
        Problem: 413 as soon as the body is known to be longer.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > max_bytes):
        raise too_large(max_bytes)
    num_bytes = 0
    async for chunk in request.stream():
        num_bytes += len(chunk)
        if num_bytes > max_bytes:
            raise too_large(max_bytes)
        yield chunk


def too_large(max_bytes: int) -> Problem:
    """Return the 413. The rest of the body is not read, so the connection cannot serve another
    request."""
    detail = f"the body is longer than the {max_bytes} bytes that this server accepts"
    return Problem(413, "too_large", detail, headers={"Connection": "close"})


JsonBody = Annotated[JsonObject, Depends(json_object)]


def as_kind(kind: TypeAdapter[Kind]) -> Callable[[JsonObject], Kind]:
    """Return a dependency that parses the body as this type."""

    def parse(body: JsonBody) -> Kind:
        return validated(kind, body)

    return parse


def validated(kind: TypeAdapter[Kind], body: JsonObject) -> Kind:
    """Validate the body as this type.

    Raises:
        RequestValidationError: names each invalid field.
    """
    try:
        return kind.validate_python(body.value)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        wrong = [{**item, "loc": ("body", *_way(item, body.value))} for item in errors]
        raise RequestValidationError(wrong) from None


def _way(error: ErrorDetails, document: dict[str, Any]) -> list[str] | tuple[int | str, ...]:
    """Return the field's path without union tags, which are not part of the document; the error's
    path if the field does not exist."""
    return steps_of(error, document) or error["loc"]


def request_of(schema: str) -> dict[str, Any]:
    """The OpenAPI request body of a route that parses its body itself."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}
