"""A request's body, taken in with bounds before anything is made of it."""

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
from api.dependencies.strict_json import read_object
from api.errors.problems import Problem
from grpo.spec.resolve import steps_of

Kind = TypeVar("Kind")

MAX_JSON_BYTES = 1024 * 1024
AT_ONCE_BYTES = 32 * 1024
"""A longer body is parsed in a thread: others are served meanwhile."""


@dataclass(frozen=True)
class JsonObject:
    """A JSON object as it was sent, and the hash of its bytes."""

    value: dict[str, Any]
    sha256: str


async def json_object(request: Request, caller: Anyone) -> JsonObject:  # noqa: ARG001
    """The body as a JSON object.  Who has no key is told so before anything of it is read.

    Raises:
        Problem: it is too large, no JSON object, or holds what cannot be kept.
    """
    return await read_json(request, MAX_JSON_BYTES)


async def read_json(request: Request, max_bytes: int) -> JsonObject:
    """
    Raises:
        Problem: it is too large, no JSON object, or holds what cannot be kept.
    """
    body = bytearray()
    async for chunk in bounded(request, max_bytes):
        body += chunk
    if len(body) > AT_ONCE_BYTES:
        return await run_in_threadpool(_parsed, bytes(body))
    return _parsed(bytes(body))


def _parsed(body: bytes) -> JsonObject:
    return JsonObject(read_object(body), hashlib.sha256(body).hexdigest())


async def bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body's chunks, whatever length the client announced.

    Raises:
        Problem: 413 as soon as it is known to be longer.
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
    """The rest of the body is not read, so the connection cannot serve another request."""
    detail = f"the body is longer than the {max_bytes} bytes this server takes"
    return Problem(413, "too_large", detail, headers={"Connection": "close"})


JsonBody = Annotated[JsonObject, Depends(json_object)]


def as_kind(kind: TypeAdapter[Kind]) -> Callable[[JsonObject], Kind]:
    """A dependency: the body as a value of this kind."""

    def parse(body: JsonBody) -> Kind:
        return validated(kind, body)

    return parse


def validated(kind: TypeAdapter[Kind], body: JsonObject) -> Kind:
    """
    Raises:
        RequestValidationError: naming each field that is wrong.
    """
    try:
        return kind.validate_python(body.value)
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False)
        wrong = [{**item, "loc": ("body", *_way(item, body.value))} for item in told]
        raise RequestValidationError(wrong) from None


def _way(error: ErrorDetails, document: dict[str, Any]) -> list[str] | tuple[int | str, ...]:
    """To the field, without the tags of unions, which are not in the document; a field that is
    not there is named as it is."""
    return steps_of(error, document) or error["loc"]


def request_of(schema: str) -> dict[str, Any]:
    """What FastAPI cannot know of a body that is read here."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}
