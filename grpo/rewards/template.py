"""Templates over a completion and its row: `{{item.answer}}`, `{{sample.output_text}}`."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from grpo.data.template import Field as TemplateField
from grpo.data.template import field_names, filled, pieces
from grpo.rewards.reward import Case

OUTPUT = "sample.output_text"
ITEM = "item."


def _known_names_only(template: str) -> str:
    for name in field_names(template):
        if name != OUTPUT and not (name.startswith(ITEM) and name != ITEM):
            raise ValueError(
                f"there is no {name[:100]!r}: a template may name {OUTPUT}, and item. with a "
                "field of the data's row"
            )
    return template


CaseTemplate = Annotated[
    str, Field(min_length=1, max_length=10_000), AfterValidator(_known_names_only)
]
"""`{{item.x}}` is the row's field x, `{{item.x.y}}` a member of it, the rest stands as it is."""


def fill(template: str, case: Case) -> str:
    """The template's text for one completion; what is no string is written as JSON.

    Raises:
        ValueError: the row has no such field, or it becomes longer than MAX_FILLED.
    """

    def value(name: str) -> str:
        found = case.text if name == OUTPUT else _member(case.fields, name.removeprefix(ITEM))
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return filled(template, value)


def is_output_alone(template: str) -> bool:
    """Whether a template is the completion's text and nothing else."""
    return pieces(template) == [TemplateField(OUTPUT)]


def _member(fields: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    here, rest = fields, path
    while isinstance(here, Mapping):
        if rest in here:
            return here[rest]
        first, _, rest = rest.partition(".")
        here = here.get(first)
    raise ValueError(f"the row has no field {path!r}")
