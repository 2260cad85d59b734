"""`/docs`: the OpenAPI document as one page, without scripts."""

from collections.abc import Iterator
from html import escape
from typing import Any

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Duet: the HTTP API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="app.css"></head>
<body><main>
<h1>The HTTP API</h1>
<p>{description} For programs: <a href="openapi.json">openapi.json</a>.</p>
{sections}
</main></body></html>
"""


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    sections = [
        *(
            _operation(method, path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ),
        "<h2>Schemas</h2>",
        *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
    ]
    description = escape(document["info"]["description"])
    return PAGE.format(description=description, sections="\n".join(sections))


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [
        (parameter["name"], parameter["in"], parameter.get("description", ""))
        for parameter in operation.get("parameters", [])
    ]
    bodies = operation.get("requestBody", {}).get("content", {})
    answers = [
        (status, _media(answer.get("content", {})), escape(answer["description"]))
        for status, answer in operation["responses"].items()
    ]
    return "".join(
        (
            f'<section id="{operation["operationId"]}">',
            f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
            f"<p>{escape(operation.get('description', ''))}</p>",
            _table([tuple(map(escape, row)) for row in parameters]),
            f"<p>Body: {_media(bodies)}</p>" if bodies else "",
            _table(answers),
            "</section>",
        )
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = [
        (escape(field), _type(described), escape(described.get("description", "")))
        for field, described in schema.get("properties", {}).items()
    ]
    description = escape(schema.get("description", ""))
    heading = f"<h3>{escape(name)}</h3><p>{description}</p>"
    return f'<section id="{escape(name)}">{heading}{_table(rows)}</section>'


def _media(content: dict[str, Any]) -> str:
    return ", ".join(
        f"{escape(media)} {_type(value.get('schema', {}))}" for media, value in content.items()
    )


def _type(schema: dict[str, Any]) -> str:
    """Describe a schema in a few words, with links to named schemas."""
    return " or ".join(dict.fromkeys(_types(schema)))


def _types(schema: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        yield f'<a href="#{name}">{name}</a>'
    for choice in schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from _types(choice)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        yield ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
    elif schema.get("type") == "array":
        yield f"list of {_type(schema.get('items', {}))}"
    elif "type" in schema:
        yield escape(schema["type"])


def _table(rows: list[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>" if rows else ""
