"""Templates over a completion and its row: `{{item.answer}}`, `{{sample.output_text}}`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from grpo.data.members import NoSuchMember, member
from grpo.data.template import Field as TemplateField
from grpo.data.template import field_names, filled, pieces
from grpo.data.written_number import as_text
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
"""`{{item.x}}` is the row's field x, `{{item.x.y}}` and `{{item.x.0}}` members of it."""


def fill(template: str, case: Case) -> str:
    """The template's text for one completion; what is no string is written as JSON.

    Raises:
        ValueError: the row has no such field, or it becomes longer than MAX_FILLED.
    """

    def value(name: str) -> str:
        if name == OUTPUT:
            return case.text
        try:
            return as_text(member(case.fields, name.removeprefix(ITEM)))
        except NoSuchMember as error:
            raise ValueError(f"the row has no field {name.removeprefix(ITEM)!r}: {error}") from None

    return filled(template, value)


def is_output_alone(template: str) -> bool:
    """Whether a template is the completion's text and nothing else."""
    return pieces(template) == [TemplateField(OUTPUT)]
