"""Text of others, such as names and labels, so that nothing in it steers a terminal."""

import json
import re
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console

_IN_JSON = re.compile(r"[^\x20-\x7e\n]")


def plain(text: str) -> str:
    """One line: what is not printable, line ends and marks that turn the direction of text round
    included, is shown as its escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def plain_lines(text: str) -> str:
    """Text of several lines, with tabs."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text
    )


def plain_json(text: str) -> str:
    """The same JSON: what is not printable is written as JSON's own escape."""
    return _IN_JSON.sub(
        lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text
    )


def console(*, file: TextIO | None = None, stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji by name, no colours for numbers."""
    return Console(highlight=False, markup=False, emoji=False, file=file, stderr=stderr)


def barred(text: str) -> Iterator[str]:
    """Text of several lines, of which none but the first can be taken for a line of ours."""
    first, *rest = text.splitlines() or [""]
    yield first
    yield from (f"  | {line}" for line in rest)
