"""Escaping of untrusted text, such as names and labels, for the terminal."""

import json
import re
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console

_IN_JSON = re.compile(r"[^\x20-\x7e\n]")


def plain(text: str) -> str:
    """Escape one line: characters that are not printable, line ends and bidirectional controls
    included."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def plain_lines(text: str) -> str:
    """Escape text of several lines, with tabs."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text
    )


def plain_json(text: str) -> str:
    """Escape JSON: characters that are not printable become JSON escapes."""
    return _IN_JSON.sub(
        lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text
    )


def console(*, file: TextIO | None = None, stderr: bool = False) -> Console:
    """Return a console that prints text unchanged: no markup, emoji names or number colors."""
    return Console(highlight=False, markup=False, emoji=False, file=file, stderr=stderr)


def barred(text: str) -> Iterator[str]:
    """Mark all lines after the first as quoted, so that none can imitate the command's own
    output."""
    first, *rest = text.splitlines() or [""]
    yield first
    yield from (f"  | {line}" for line in rest)
