"""Templates over a completion and its row: `{{item.answer}}`, `{{sample.output_text}}`."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from grpo.data.rows import FIELD, template_fields
from grpo.rewards.reward import Case

OUTPUT = "sample.output_text"
ITEM = "item."
MAX_FILLED = 4_000_000
"""Characters that a template may become: a name in it can stand there hundreds of times."""
OUTPUT_ALONE = re.compile(r"\{\{\s*sample\.output_text\s*\}\}")


def _known_names_only(template: str) -> str:
    for name in template_fields(template):
        if name != OUTPUT and not (name.startswith(ITEM) and name != ITEM):
            raise ValueError(
                f"there is no {name!r}: a template may name {OUTPUT}, and item. with a field of "
                "the data's row"
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
    left = MAX_FILLED

    def value(name: str) -> str:
        nonlocal left
        found = case.text if name == OUTPUT else _member(case.fields, name.removeprefix(ITEM))
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        left -= len(text)
        if left < 0:
            raise ValueError(f"a template becomes longer than {MAX_FILLED:,} characters")
        return text

    return FIELD.sub(lambda match: value(match[1]), template)


def _member(fields: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    here, rest = fields, path
    while isinstance(here, Mapping):
        if rest in here:
            return here[rest]
        first, _, rest = rest.partition(".")
        here = here.get(first)
    raise ValueError(f"the row has no field {path!r}")
