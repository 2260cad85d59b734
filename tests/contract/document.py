"""The document that schemathesis works from."""

from copy import deepcopy

from schemathesis import openapi
from schemathesis.specs.openapi.schemas import OpenApiSchema

from tests.openapi_document import openapi_document


def document() -> OpenApiSchema:
    """Remove the security scheme, so that schemathesis does not generate keys."""
    written = deepcopy(openapi_document())
    for operations in written["paths"].values():
        for each in operations.values():
            each.pop("security", None)
    return openapi.from_dict(written)
