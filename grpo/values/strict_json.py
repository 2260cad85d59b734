"""Strict JSON: only values that can be stored, that all parsers read alike, and that can be
returned."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

MAX_DEPTH = 64
MAX_INTEGER = 2**64
MAX_NAME_LENGTH = 1000  # of a field; pointers are built from these
MAX_VALUES = 100_000  # in one body
MAX_PROBLEMS = 20  # reported in one answer

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # valid in JSON, but not storable in Postgres
NOT_KEPT = "must not contain a NUL character or an unpaired surrogate"


class _Doubled:
    """Marks a name with two values in an object, which parsers resolve differently."""


class NotAnObject(ValueError):
    """A text that is not a JSON object."""


class ValuesRefused(ValueError):
    """Values of an object that are not accepted: each problem with its pointer."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in problems))
        self.problems = problems


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a text as a JSON object.

    Raises:
        NotAnObject: the text is not a JSON object.
        ValuesRefused: with a pointer to each value that is not accepted.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object)
    except RecursionError:
        detail = f"the body is nested too deeply: at most {MAX_DEPTH} levels are allowed"
        raise NotAnObject(detail) from None
    except ValueError as error:
        raise NotAnObject(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise NotAnObject("the body must be a JSON object")
    if problems := list(islice(_problems(value), MAX_PROBLEMS)):
        raise ValuesRefused(problems)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, item in pairs:
        value[name] = _Doubled() if name in value else item
    return value


@dataclass(frozen=True, slots=True)
class _Place:
    """Position of a value. Its pointer is built only for an error: a long name above many values
    would otherwise be copied for each."""

    above: "_Place | None"
    step: str | int
    depth: int

    @property
    def pointer(self) -> str:
        steps: list[str] = []
        here = self
        while here.above is not None:
            steps.append(str(here.step).replace("~", "~0").replace("/", "~1"))
            here = here.above
        return "".join(f"/{step}" for step in reversed(steps))


def _problems(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The values of a body that are not accepted; each value is visited once."""
    waiting: list[tuple[object, _Place]] = [(body, _Place(None, "", 1))]
    num_values = 0
    while waiting:
        value, at = waiting.pop()
        num_values += 1
        if num_values > MAX_VALUES:
            yield "", f"has more than {MAX_VALUES:,} values"
            return
        if isinstance(value, dict | list):
            yield from _problems_of_names(value, at)
            waiting += _inside(value, at)
        elif (detail := _problem_of(value)) is not None:
            yield at.pointer, detail


def _problems_of_names(value: dict[str, Any] | list[Any], at: _Place) -> Iterator[tuple[str, str]]:
    if at.depth > MAX_DEPTH:
        detail = f"is nested too deeply: at most {MAX_DEPTH} levels are allowed"
        yield at.pointer, detail
    for name in value if isinstance(value, dict) else ():
        if (detail := _problem_of_name(name)) is not None:
            yield at.pointer, detail


def _problem_of_name(name: str) -> str | None:
    if len(name) > MAX_NAME_LENGTH:
        return f"a field's name must not be longer than {MAX_NAME_LENGTH:,} characters"
    return f"a field's name {NOT_KEPT}" if UNSTORABLE.search(name) else None


def _inside(value: dict[str, Any] | list[Any], at: _Place) -> list[tuple[object, _Place]]:
    """The child values to visit, the last one first."""
    if at.depth > MAX_DEPTH:
        return []
    named = value.items() if isinstance(value, dict) else enumerate(value)
    below = [
        (item, _Place(at, step, at.depth + 1))
        for step, item in named
        if isinstance(step, int) or _problem_of_name(step) is None
    ]
    return below[::-1]


def _problem_of(value: object) -> str | None:
    match value:
        case _Doubled():
            return "occurs twice: keep one"
        case str() if UNSTORABLE.search(value):
            return f"text {NOT_KEPT}"
        case float() if not math.isfinite(value):
            return "must be a finite number"
        case int() if abs(value) >= MAX_INTEGER:
            return "must be a number of at most 64 bits"
        case _:
            return None
