"""A template of a spec: every field with its description, bounds and value."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Schema = Mapping[str, Any]

WIDTH = 100
HEADER = (
    "A job for `duet submit`.  Lines such as `#seed: 0` show the defaults: to change one, remove",
    "its `#`; in a commented section, remove the `#` of every line.",
)
BEGUN_WITH = frozenset(
    {
        "name",
        "preset",
        "model.source",
        "data.train",
        "data.eval",
        "data.prompt",
        "data.answer",
        "rewards",
        "algorithm.group_size",
        "algorithm.prompts_per_step",
        "optimizer.learning_rate",
        "rollout.max_tokens",
        "evaluation.every_steps",
        "checkpoints.every_steps",
        "budget.epochs",
        "budget.max_steps",
    }
)
"""Fields that users usually change first; the others are commented out."""


def spec_template(schema: Schema, resolved: Mapping[str, Any]) -> str:
    """Return a spec in YAML that resolves to `resolved`, with its fields described."""
    lines = [f"# {line}" for line in HEADER]
    for name in schema["properties"]:
        if name != "version":
            lines += ["", *_field(schema, schema, name, resolved[name])]
    return "\n".join(lines) + "\n"


def _field(
    root: Schema,
    section: Schema,
    name: str,
    value: Any,  # noqa: ANN401 - of a spec
    *,
    above: str = "",
    in_comment: bool = False,
) -> list[str]:
    """Yield the lines of one field or section, commented out unless part of it is in BEGUN_WITH."""
    path = f"{above}{name}"
    field = section["properties"][name]
    begun = in_comment or any(each == path or each.startswith(f"{path}.") for each in BEGUN_WITH)
    inner = _section_of(field, root)
    if inner is None or value is None:
        body = [f"{name}: {_yaml(value)}"]
    else:
        fields = [
            _field(root, inner, each, value[each], above=f"{path}.", in_comment=not begun)
            for each in inner["properties"]
        ]
        body = [f"{name}:", *(f"  {line}" for lines in fields for line in lines)]
    words = textwrap.wrap(_words(field, root), WIDTH - 2 - 2 * path.count("."))
    signed = body if begun else [f"#{line}" for line in body]
    return [*(f"# {line}" for line in words), *signed]


def _words(field: Schema, root: Schema) -> str:
    """Description and bounds of a field."""
    allowed = [text for each in _kinds(field) if (text := _allowed(each, root))]
    bounds = f"  ({'; '.join(allowed)})" if allowed else ""
    return f"{field.get('description', '')}{bounds}"


def _allowed(kind: Schema, root: Schema) -> str:
    """Bounds in words: `2 to 1024`, `at least 1`, `above 0, below 1`, `a, b or c`."""
    if "$ref" in kind:
        is_choice = "default" not in kind  # one of several: a section that is always there tells
        return f"fields: {', '.join(_resolve(kind, root)['properties'])}" if is_choice else ""
    if "enum" in kind:
        return _listed(kind["enum"])
    if types := kind.get("items", {}).get("discriminator", {}).get("mapping"):
        return f"types: {_listed(list(types))}"
    if "minimum" in kind and "maximum" in kind:
        return f"{kind['minimum']} to {kind['maximum']}"
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return ", ".join(f"{word} {kind[bound]}" for bound, word in bounds.items() if bound in kind)


def _listed(values: Sequence[object]) -> str:
    *others, last = map(str, values)
    return f"{', '.join(others)} or {last}" if others else last


def _kinds(field: Schema) -> Sequence[Schema]:
    return field.get("anyOf", [field])


def _section_of(field: Schema, root: Schema) -> Schema | None:
    """Return the schema of a section's fields, if it has any."""
    for kind in _kinds(field):
        if "$ref" in kind:
            return _resolve(kind, root)
    return None


def _resolve(kind: Schema, root: Schema) -> Schema:
    return root["$defs"][kind["$ref"].rpartition("/")[2]]


def _yaml(value: object) -> str:
    """Write a value on one line; nulls in an entry of a list are left out."""
    if isinstance(value, list):
        value = [
            {name: each for name, each in entry.items() if each is not None}
            if isinstance(entry, dict)
            else entry
            for entry in value
        ]
    inside = yaml.safe_dump(
        [value], default_flow_style=True, width=float("inf"), allow_unicode=True
    )
    return inside.strip()[1:-1]
