"""Validation errors of pydantic as sentences for people."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Details = Mapping[str, Any]
"""One of `ValidationError.errors()`: `type`, `msg`, `input` and, by type, `ctx`."""

_FORMATS: dict[str, str] = {}
"""Sentence for each pattern of a text field."""


def matching(pattern: str, sentence: str) -> str:
    """Return the pattern of a field; text that does not match is refused with the sentence."""
    _FORMATS[pattern] = sentence
    return pattern


def in_words(error: Details) -> str:
    """Return a sentence about one error, without the field's name: "must be a whole number"."""
    kind = error["type"]
    context = error.get("ctx", {})
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _WITH_CONTEXT and context:
        return _WITH_CONTEXT[kind](context)
    return error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def either(sentences: Iterable[str]) -> str:
    """Join the sentences about one field's alternatives, of which one must hold."""
    distinct = list(dict.fromkeys(sentences))
    if all(sentence.startswith(_MUST) for sentence in distinct):
        return _MUST + ", or ".join(sentence.removeprefix(_MUST) for sentence in distinct)
    return "; or ".join(distinct)


_MUST = "must be "
_DATE_TIME = "must be a date and time, such as 2026-01-31T12:00:00Z"
_OBJECT = "must be an object"
_LIST = "must be a list"
_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_BOOLEAN = "must be true or false"
_UUID = "must be a UUID"

_FIXED = {
    "missing": "is required",
    "extra_forbidden": "unknown field",
    "none_required": "must be null",
    "string_type": "must be text",
    "string_unicode": "must be text of valid Unicode",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "is too large",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "datetime_type": _DATE_TIME,
    "datetime_parsing": _DATE_TIME,
    "datetime_object_invalid": _DATE_TIME,
    "datetime_from_date_parsing": _DATE_TIME,
    "timezone_aware": "must have a time zone, as in 2026-01-31T12:00:00Z",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "url_type": "must be a URL",
    "url_parsing": "must be a URL, such as https://example.com/path",
}

_Context = Mapping[str, Any]


def _number(value: float | str) -> str:
    """Return a bound as text; those of times are text already."""
    large = isinstance(value, int | float) and abs(value) >= 10_000
    return f"{value:,}" if large else str(value)


def _least(count: int, noun: str) -> str:
    return "must not be empty" if count == 1 else f"must have at least {_number(count)} {noun}"


def _most(count: int, noun: str) -> str:
    return f"must have at most {_number(count)} {noun if count != 1 else noun.rstrip('s')}"


_WITH_CONTEXT: dict[str, Callable[[_Context], str]] = {
    "greater_than": lambda c: f"must be greater than {_number(c['gt'])}",
    "greater_than_equal": lambda c: f"must be at least {_number(c['ge'])}",
    "less_than": lambda c: f"must be less than {_number(c['lt'])}",
    "less_than_equal": lambda c: f"must be at most {_number(c['le'])}",
    "multiple_of": lambda c: f"must be a multiple of {_number(c['multiple_of'])}",
    "string_too_short": lambda c: _least(c["min_length"], "characters"),
    "string_too_long": lambda c: _most(c["max_length"], "characters"),
    "too_short": lambda c: _least(c["min_length"], "items"),
    "too_long": lambda c: _most(c["max_length"], "items"),
    "literal_error": lambda c: f"must be {c['expected']}",
    "enum": lambda c: f"must be {c['expected']}",
    "string_pattern_mismatch": lambda c: _FORMATS.get(c["pattern"], f"must match {c['pattern']}"),
    "union_tag_invalid": lambda c: (
        f"unknown {c['discriminator']} {c['tag'][:100]!r}; one of {c['expected_tags']}"
    ),
    "union_tag_not_found": lambda c: f"has no {c['discriminator']}",
    "json_invalid": lambda c: f"is not valid JSON: {c['error']}",
    "url_scheme": lambda c: f"must be a URL that begins with {c['expected_schemes']}",
}
