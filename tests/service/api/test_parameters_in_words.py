"""Wrong parameters and bodies are refused in words, not in pydantic's."""

from typing import Any

import httpx

from api.app import assemble
from tests.service.api.test_methods import filled
from tests.wrong_values import PYDANTIC, WRONG

DOCUMENT = assemble().openapi()
OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if path.startswith("/v1")
]


def refused(answer: httpx.Response) -> list[str]:
    """Return the details of a 422's fields."""
    if answer.status_code != 422:
        return []
    problem = answer.json()
    return [problem["detail"], *(error["detail"] for error in problem["errors"])]


def test_every_query_parameter_is_refused_in_words(http: httpx.Client):
    details: list[str] = []
    for method, path, operation in OPERATIONS:
        names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        if method != "get" or not names or path.endswith("/stream"):
            continue
        for value in ("x\0", "", "-1", "1.5", "9" * 30, "x" * 21_000):
            for name in names:
                details += refused(http.get(filled(path), params={name: value}))
    assert len(details) > 50
    assert [detail for detail in details if PYDANTIC.search(detail)] == []


def test_every_body_is_refused_in_words(http: httpx.Client):
    details: list[str] = []
    for method, path, operation in OPERATIONS:
        schema = _body(operation)
        if schema is None:
            continue
        for value in WRONG:
            if not isinstance(value, float):
                body: Any = dict.fromkeys(schema.get("properties", {}), value)
                details += refused(http.request(method, filled(path), json=body))
        details += refused(http.request(method, filled(path), json={}))
    assert len(details) > 50
    assert [detail for detail in details if PYDANTIC.search(detail)] == []


def _body(operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    name = (content or {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"].get(name)
