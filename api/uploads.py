"""Taking in a multipart file, spooled to disk while the client sends it."""

from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.body import bounded, too_large
from api.problems import FieldProblem, Problem
from api.services import FromServices

FRAMING_BYTES = 64 * 1024
MAX_NAME_LENGTH = 255

# The body is read here and not by FastAPI, which would take any size; so its schema is told here.
MULTIPART = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "JSON objects, one a line, in UTF-8; or Parquet.",
                        }
                    },
                }
            }
        },
    }
}


async def _uploaded(request: Request, services: FromServices) -> AsyncIterator[UploadFile]:
    """The field `file` of the body.

    Raises:
        Problem: there is none, or it is too large.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        detail = "send the file as multipart/form-data, in the field `file`"
        raise Problem(415, "unsupported_media_type", detail)
    max_bytes = services.settings.max_upload_bytes
    chunks = bounded(request, max_bytes + FRAMING_BYTES)
    try:
        form = await MultiPartParser(request.headers, chunks).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Problem(400, "invalid_multipart", f"the body cannot be read: {error}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid_file(["send the data in a file field of this name"])
        if (file.size or 0) > max_bytes:
            raise too_large(max_bytes)
        yield file
    finally:
        await form.close()


Uploaded = Annotated[UploadFile, Depends(_uploaded)]


def invalid_file(details: list[str]) -> Problem:
    errors = [FieldProblem(detail=detail, pointer="/file") for detail in details]
    return Problem(422, "invalid_file", details[0], errors=errors)


def shown_name(file: UploadFile) -> str:
    """The file's name without folders, and without what no name should hold."""
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name
    printable = "".join(character for character in name if character.isprintable())
    return printable[:MAX_NAME_LENGTH] or "untitled.jsonl"
