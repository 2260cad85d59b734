"""The OpenAPI document, made once a process."""

from functools import cache
from typing import Any

from api.app import assemble


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document, which is shared: to be read only."""
    return assemble().openapi()
