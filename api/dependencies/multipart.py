"""Multipart uploads, spooled to disk while the client sends."""

import unicodedata
from collections.abc import AsyncIterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.dependencies.auth import Submitter
from api.dependencies.body import bounded, too_large
from api.dependencies.services import FromServices
from api.errors.problems import FieldProblem, Problem
from api.errors.storage import storing

FRAMING_BYTES = 64 * 1024
MAX_FIELDS = 10  # in addition to the file
MAX_NAME_LENGTH = 255
REFUSED_IN_NAMES = (
    "Cc",
    "Cs",
    "Zl",
    "Zp",
)  # Unicode categories: controls, surrogates, line and paragraph separators


def multipart(**texts: str) -> dict[str, Any]:
    """The OpenAPI request body of an upload; FastAPI itself would accept any size.

    `texts`: descriptions of the fields other than the file.
    """
    fields = {name: {"type": "string", "description": text} for name, text in texts.items()}
    schema = {
        "type": "object",
        "required": ["file", *texts],
        "properties": {
            "file": {
                "type": "string",
                "format": "binary",
                "description": (
                    "JSONL or CSV in UTF-8, optionally compressed with gzip or zstd; or Parquet."
                ),
            },
            **fields,
        },
    }
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


async def _form(
    request: Request,
    services: FromServices,
    caller: Submitter,  # noqa: ARG001 - authorization precedes spooling
) -> AsyncIterator[FormData]:
    """The body's fields.

    Raises:
        Problem: the body is not a form, or is too large.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        detail = "send the file as multipart/form-data, in the field `file`"
        raise Problem(415, "unsupported_media_type", detail)
    chunks = bounded(request, services.settings.max_upload_bytes + FRAMING_BYTES)
    try:
        with storing("/file"):  # spooled to disk
            form = await MultiPartParser(
                request.headers, chunks, max_files=1, max_fields=MAX_FIELDS
            ).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Problem(400, "invalid_multipart", f"the body cannot be read: {error}") from None
    try:
        yield form
    finally:
        await form.close()


Form = Annotated[FormData, Depends(_form)]


def _uploaded(form: Form, services: FromServices) -> UploadFile:
    """The body's field `file`.

    Raises:
        Problem: the field is missing, or the file is too large.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise invalid_file(["send the data in a file field of this name"])
    max_bytes = services.settings.max_upload_bytes
    if (file.size or 0) > max_bytes:
        raise too_large(max_bytes)
    return file


Uploaded = Annotated[UploadFile, Depends(_uploaded)]


def invalid_file(details: Sequence[str]) -> Problem:
    errors = [FieldProblem(detail=detail, pointer="/file") for detail in details]
    return Problem(422, "invalid_file", details[0], errors=errors)


def shown_name(file: UploadFile) -> str:
    """Return the file's name without folders, otherwise as it was sent.

    Raises:
        Problem: the name is too long, or holds a control character.
    """
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name
    if len(name) > MAX_NAME_LENGTH:
        raise invalid_file([f"the file's name is longer than {MAX_NAME_LENGTH} characters"])
    if any(unicodedata.category(character) in REFUSED_IN_NAMES for character in name):
        raise invalid_file(["the file's name contains a control character or a line break"])
    return name or "untitled.jsonl"
