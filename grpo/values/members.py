"""Members of a row, by the path that templates write: `reward_model.ground_truth`, `choices.0`."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from grpo.values.written_number import WrittenNumber

INDEX = re.compile(r"\[(-?\d{1,9})\]")
MAX_STEPS = 64
MAX_DIGITS = 10


class NoSuchMember(LookupError):
    """A path that leads nowhere in a row; the message says where it ends."""


def member(fields: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    """Return what a path leads to: `a.b`, `a.0.b` or `a[0].b`; a field of that very name is first.

    A text that holds JSON is looked into, as data sets keep lists in one.

    Raises:
        NoSuchMember: it leads nowhere.
    """
    if path in fields:
        return fields[path]
    here: Any = fields
    rest = INDEX.sub(r".\1", path)
    for _ in range(MAX_STEPS):
        if isinstance(here, Mapping) and rest in here:
            return here[rest]
        step, dot, rest = rest.partition(".")
        here = _step(here, step, path)
        if not dot:
            return here
    raise NoSuchMember(f"{path[:100]!r} has more than {MAX_STEPS} parts")


def root_of(path: str, names: Mapping[str, Any]) -> str | None:
    """Return the field that a path begins with; None: there is none of that name."""
    if path in names:
        return path
    root = INDEX.sub(r".\1", path).partition(".")[0]
    return root if root in names else None


def _step(here: Any, step: str, path: str) -> Any:  # noqa: ANN401
    if isinstance(here, str):
        here = _inside(here)
    if isinstance(here, Mapping) and step in here:
        return here[step]
    if isinstance(here, Sequence) and not isinstance(here, str) and step.lstrip("-").isdecimal():
        place = int(step[:MAX_DIGITS])
        if len(step) <= MAX_DIGITS and -len(here) <= place < len(here):
            return here[place]
    raise NoSuchMember(f"there is no {step[:100]!r} of {path[:100]!r}")


def _inside(text: str) -> Any:  # noqa: ANN401
    """Return the JSON that a text holds; or the text."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text, parse_float=WrittenNumber)
    except (ValueError, RecursionError):
        return text
