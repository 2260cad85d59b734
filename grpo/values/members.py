"""Members of a row by path, as in templates: `reward_model.ground_truth`, `choices.0`."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from grpo.values.written_number import WrittenNumber

INDEX = re.compile(r"\[(-?\d{1,9})\]")
NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
MAX_STEPS = 64
MAX_DEPTH = 64
REMEMBERED = 4  # parsed JSON texts: each template of a row reads them again


class NoSuchMember(LookupError):
    """A path that does not exist in a row; the message names the missing part."""


def member(fields: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    """Return the value at a path: `a.b`, `a.0.b` or `a[0].b`; a field of exactly that name wins.

    JSON in a text field is parsed, since data sets store lists that way.

    Raises:
        NoSuchMember: the path does not exist.
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
    """Return the field that a path begins with; None if there is none of that name."""
    if path in names:
        return path
    root = root_name(path)
    return root if root in names else None


def root_name(path: str) -> str:
    """Return the name of the field that a path begins with, where no field has the path's name."""
    return INDEX.sub(r".\1", path).partition(".")[0]


def _step(here: Any, step: str, path: str) -> Any:  # noqa: ANN401
    if isinstance(here, str):
        here = _inside(here)
    if isinstance(here, Mapping) and step in here:
        return here[step]
    if isinstance(here, Sequence) and not isinstance(here, str) and NUMBER.fullmatch(step):
        place = int(step)
        if -len(here) <= place < len(here):
            return here[place]
    raise NoSuchMember(f"there is no {step[:100]!r} of {path[:100]!r}")


@lru_cache(maxsize=REMEMBERED)
def _inside(text: str) -> Any:  # noqa: ANN401
    """Return a text's JSON value; else the text, also if it is nested too deeply."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        held = json.loads(text, parse_float=WrittenNumber)
    except (ValueError, RecursionError):
        return text
    return held if _is_shallow(held) else text


def _is_shallow(held: Any) -> bool:  # noqa: ANN401
    level = [held]
    for _ in range(MAX_DEPTH):
        inner = (list(each.values()) if isinstance(each, dict) else each for each in level)
        level = [one for each in inner for one in each if isinstance(one, dict | list)]
        if not level:
            return True
    return False
