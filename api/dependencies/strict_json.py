"""JSON from outside: only what can be kept, read by everybody in one way, and answered again."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from api.errors.problems import FieldProblem, Problem, invalid_fields

MAX_DEPTH = 64
MAX_INTEGER = 2**64
MAX_PROBLEMS = 20  # named in one answer

UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # JSON can carry it, and Postgres cannot keep it
NOT_KEPT = "must not hold a NUL character or half of a surrogate pair"


class _Doubled:
    """Stands where an object has two values, of which parsers differ in which one they take."""


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        Problem: 400, it is none; 422, with a pointer to each value that cannot be taken.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object)
    except RecursionError:
        detail = f"the body is nested too deeply: {MAX_DEPTH} levels are taken"
        raise Problem(400, "invalid_json", detail) from None
    except ValueError as error:
        raise Problem(400, "invalid_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(400, "invalid_json", "the body must be a JSON object")
    if errors := list(islice(_problems(value, "", 1), MAX_PROBLEMS)):
        raise invalid_fields(errors)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, item in pairs:
        value[name] = _Doubled() if name in value else item
    return value


def _problems(value: object, pointer: str, depth: int) -> Iterator[FieldProblem]:
    """What cannot be taken in the value, which is the `depth`th one around itself."""
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        detail = f"is nested too deeply: {MAX_DEPTH} levels are taken"
        yield FieldProblem(detail=detail, pointer=pointer)
    elif isinstance(value, dict):
        for name, item in value.items():
            if UNSTORABLE.search(name):
                yield FieldProblem(detail=f"a field's name {NOT_KEPT}", pointer=pointer)
            else:
                step = name.replace("~", "~0").replace("/", "~1")
                yield from _problems(item, f"{pointer}/{step}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, f"{pointer}/{index}", depth + 1)
    elif (detail := _problem_of(value)) is not None:
        yield FieldProblem(detail=detail, pointer=pointer)


def _problem_of(value: object) -> str | None:
    match value:
        case _Doubled():
            return "is there twice: leave one"
        case str() if UNSTORABLE.search(value):
            return f"text {NOT_KEPT}"
        case float() if not math.isfinite(value):
            return "must be a finite number"
        case int() if abs(value) >= MAX_INTEGER:
            return "must be a number of at most 64 bits"
        case _:
            return None
