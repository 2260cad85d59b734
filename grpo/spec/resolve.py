"""Resolve a user's spec into a complete one: defaults < preset < spec."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from grpo.presets.catalogue import load_preset
from grpo.rewards.catalogue import REWARD_TYPES
from grpo.rewards.deferral import CONTEXT
from grpo.rewards.single import SINGLE_TYPES
from grpo.spec.job import JobSpec
from grpo.spec.spec_file import SpecFileError, read_spec_file
from grpo.values.field_errors import either, in_words

DEFAULT_PRESET = "2-grpo"
MAX_PROBLEMS = 100
"""Problems reported at once."""
MAX_DETAIL = 2000
MAX_GUESSED = 64
"""Longest misspelled name for which a close match is searched."""


class SpecError(ValueError):
    """An invalid spec: each problem is a sentence with a JSON pointer to the field."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in problems))

    def __reduce__(self) -> tuple[type, tuple[list[tuple[str, str]]]]:
        return type(self), (self.problems,)


def resolve(written: Mapping[str, Any], *, defer_costly: bool = False) -> JobSpec:
    """Merge a spec over its preset and check it.

    Args:
        defer_costly: leave out the checks that `grpo.rewards.deferral` defers.

    Raises:
        SpecError: naming every invalid field.
    """
    merged = over_preset(written)
    return validated(merged, merged, defer_costly=defer_costly)


def over_preset(written: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a spec over its preset.

    Raises:
        SpecError: the preset does not exist.
    """
    preset = written.get("preset", DEFAULT_PRESET)
    try:
        settings = load_preset(preset) if preset is not None else {}
    except (ValueError, TypeError) as error:
        raise SpecError([("/preset", str(error))]) from None
    return merge({**settings, "preset": preset}, written)


def validated(
    sections: Mapping[str, Any], merged: Mapping[str, Any], *, defer_costly: bool
) -> JobSpec:
    """Validate a merged spec; `sections`: the same spec, with sections already validated.

    Raises:
        SpecError: naming every invalid field.
    """
    try:
        return JobSpec.model_validate(sections, context=CONTEXT if defer_costly else None)
    except ValidationError as error:
        raise SpecError(_problems(error.errors(include_url=False), merged)) from None


def load_spec(path: Path) -> JobSpec:
    """Read and resolve a YAML or JSON spec file.

    Raises:
        SpecError: the file is not a mapping, or a field is invalid.
    """
    try:
        return resolve(read_spec_file(path))
    except SpecFileError as error:
        raise SpecError([("", str(error))]) from None


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `under`: mappings key by key, everything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _problems(errors: Sequence[ErrorDetails], document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return one problem per field, at most MAX_PROBLEMS.

    A field of a union type has one error per type: an error about a nested field is more specific
    than one about the type.
    """
    details: dict[str, dict[str, None]] = {}
    for number, error in enumerate(errors):
        pointer, detail = _problem(error, document)
        details.setdefault(pointer, {})[detail] = None
        if len(details) > MAX_PROBLEMS:
            del details[pointer]
            rest = {f"{len(errors) - number} more problems are not shown": None}
            details[""] = details.get("", {}) | rest
            break
    outer = {above for pointer in details for above in _above(pointer)}
    return [
        (pointer, either(of_field)[:MAX_DETAIL])
        for pointer, of_field in details.items()
        if pointer == "" or pointer not in outer
    ]


def _above(pointer: str) -> Iterator[str]:
    """Yield the pointers to every parent of a field."""
    while pointer:
        pointer = pointer.rpartition("/")[0]
        yield pointer


def _problem(error: ErrorDetails, document: Mapping[str, Any]) -> tuple[str, str]:
    steps = steps_of(error, document)
    match error["type"]:
        case "extra_forbidden":
            detail = f"unknown field{_closest(steps)}"
        case "union_tag_invalid":
            unknown = repr(error["input"]["type"])[:100]
            detail = f"unknown reward type {unknown}; one of {_types_at(steps)}"
            steps.append("type")
        case "union_tag_not_found":
            detail = f"missing reward type: one of {_types_at(steps)}"
            steps.append("type")
        case _:
            detail = in_words(error)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps), detail


def _types_at(steps: list[str]) -> str:
    """Return the reward types allowed there: every one, or every one but multi inside multi."""
    nested = steps.count("rewards") > 1
    return ", ".join(sorted(SINGLE_TYPES if nested else REWARD_TYPES))


def steps_of(error: ErrorDetails, document: Mapping[str, Any]) -> list[str]:
    """Return the error's path through the document, without the union tags of pydantic's path."""
    steps: list[str] = []
    here: Any = document
    for step in error["loc"]:
        if _has(here, step):
            here = here[step]
            steps.append(str(step))
    if error["type"] == "missing":
        steps.append(str(error["loc"][-1]))
    return steps


def _has(document: object, step: int | str) -> bool:
    if isinstance(document, list):
        return isinstance(step, int) and step < len(document)
    return isinstance(document, Mapping) and step in document


def _closest(steps: list[str]) -> str:
    """Return a suggestion for a misspelled field."""
    section: Any = JobSpec
    if len(steps[-1]) > MAX_GUESSED:
        return ""
    for step in steps[:-1]:
        fields = getattr(section, "model_fields", {})
        if step not in fields:
            return ""
        section = fields[step].annotation
    close = get_close_matches(steps[-1], getattr(section, "model_fields", {}), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
