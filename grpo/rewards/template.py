"""Templates over a completion and its row: `{{item.answer}}`, `{{sample.output_text}}`."""

import json
from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from grpo.rewards.reward import Case
from grpo.values.members import NoSuchMember, member
from grpo.values.template import Field as TemplateField
from grpo.values.template import field_names, filled, pieces
from grpo.values.written_number import WrittenNumber, as_text

OUTPUT = "sample.output_text"
JSON_MEMBER = "sample.output_json."
ITEM = "item."
PREFIXES = (ITEM, JSON_MEMBER)


class NoSuchOutput(ValueError):
    """The completion is not JSON with the member that a template names: it scores 0."""


def _known_names_only(template: str) -> str:
    for name in field_names(template):
        if name != OUTPUT and (not name.startswith(PREFIXES) or name in PREFIXES):
            raise ValueError(
                f"unknown name {name[:100]!r}: a template may use {OUTPUT}, {JSON_MEMBER}MEMBER, "
                "and item. with a field of the row"
            )
    return template


CaseTemplate = Annotated[
    str, Field(min_length=1, max_length=10_000), AfterValidator(_known_names_only)
]
"""`{{item.x}}` is the row's field x, `{{item.x.y}}` and `{{item.x.0}}` members of it."""


def fill(template: str, case: Case) -> str:
    """Return the template filled for one completion; values other than strings become JSON.

    Raises:
        ValueError: the row has no such field, or the text becomes longer than MAX_FILLED.
        NoSuchOutput: the completion is not JSON with the named member.
    """
    output = cache(partial(_json_object, case.text))

    def value(name: str) -> str:
        if name == OUTPUT:
            return case.text
        try:
            if name.startswith(JSON_MEMBER):
                return as_text(member(output(), name.removeprefix(JSON_MEMBER)))
            return as_text(member(case.fields, name.removeprefix(ITEM)))
        except NoSuchMember as error:
            if name.startswith(JSON_MEMBER):
                raise NoSuchOutput(f"the completion has no {name!r}") from None
            raise ValueError(f"the row has no field {name.removeprefix(ITEM)!r}: {error}") from None

    return filled(template, value)


def is_output_alone(template: str) -> bool:
    """Whether a template is the completion's text and nothing else."""
    return pieces(template) == [TemplateField(OUTPUT)]


def row_fields(template: str) -> tuple[str, ...]:
    """Return the paths into a row that a template uses."""
    return tuple(name.removeprefix(ITEM) for name in field_names(template) if name.startswith(ITEM))


def _json_object(text: str) -> Mapping[str, Any]:
    """Return the completion's JSON object.

    Raises:
        NoSuchOutput: the completion is not a JSON object.
    """
    try:
        value = json.loads(text, parse_float=WrittenNumber)
    except (ValueError, RecursionError):
        raise NoSuchOutput("the completion is not JSON") from None
    if not isinstance(value, Mapping):
        raise NoSuchOutput("the completion is not a JSON object")
    return value
