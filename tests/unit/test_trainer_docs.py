"""docs/trainer.md against the schema."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from grpo.spec.job import JobSpec

DOCS = Path(__file__).parents[2] / "docs/trainer.md"
ROW = re.compile(r"^\| `([a-z0-9_.]+)` \| (?:`([^`]*)`|(none)) \| .* \|$", re.MULTILINE)
ELSEWHERE = ("version", "name", "preset", "rewards", "labels", "resources")
LISTS = ("data.train", "data.eval", "data.test")  # of sections: data sources


def fields(
    section: type[BaseModel], path: str = "", within: BaseModel | None = None
) -> Iterator[tuple[str, Any]]:
    """Each switch and its default; `within`: the section's own default, where it has one."""
    for name, field in section.model_fields.items():
        here, inner = f"{path}{name}", _section_in(field.annotation)
        if here in ELSEWHERE:
            continue
        default = field.default if within is None else getattr(within, name)
        if inner is None or here in LISTS or default is None:
            yield here, default
        if inner is not None and here not in LISTS:
            yield from fields(inner, f"{here}.", default)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_section_in(argument) for argument in get_args(annotation)]
    return next((section for section in found if section is not None), None)


def test_every_switch_has_a_row_with_its_default_and_no_row_is_without_a_switch():
    written = {name: default or None for name, default, _ in ROW.findall(DOCS.read_text())}
    schema = {
        name: None if default in (None, []) else str(default) for name, default in fields(JobSpec)
    }
    assert written == schema
