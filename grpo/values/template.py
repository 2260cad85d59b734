"""Templates: text with `{{ name }}` placeholders, scanned in linear time."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_FILLED = 4_000_000
"""Maximum length of a filled template: a name can occur thousands of times."""


class FilledTooLong(ValueError):
    """A filled template longer than MAX_FILLED."""


@dataclass(frozen=True)
class Field:
    """A name between two pairs of braces."""

    name: str


def pieces(template: str) -> list[str | Field]:
    """Yield the template's texts and fields, in order.

    A field is `{{`, at least one character other than a brace, and `}}`.  Every other brace is
    text.  Each character is read a bounded number of times.
    """
    found: list[str | Field] = []
    text_from = looked_to = 0
    while (end := template.find("}}", looked_to)) != -1:
        start = template.rfind("{", looked_to, end)
        opened = start > looked_to and template[start - 1] == "{"
        name = template[start + 1 : end] if opened else ""
        if name and "}" not in name:
            found += [template[text_from : start - 1], Field(name.strip() or " ")]
            text_from = looked_to = end + 2
        else:
            looked_to = end + 1
    found.append(template[text_from:])
    return [piece for piece in found if piece != ""]


def field_names(template: str) -> tuple[str, ...]:
    """Return the names in a template, each once, in order."""
    named = (piece.name for piece in pieces(template) if isinstance(piece, Field))
    return tuple(dict.fromkeys(named))


def filled(template: str, value: Callable[[str], str]) -> str:
    """Return the template with `value(name)` in place of each field.

    Raises:
        FilledTooLong: the result is longer than MAX_FILLED.
    """
    texts: list[str] = []
    length = 0
    for piece in pieces(template):
        text = value(piece.name) if isinstance(piece, Field) else piece
        length += len(text)
        if length > MAX_FILLED:
            raise FilledTooLong(f"a template becomes longer than {MAX_FILLED:,} characters")
        texts.append(text)
    return "".join(texts)
