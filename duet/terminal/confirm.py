"""The confirmation before an action that cannot be undone."""

import sys
from typing import Annotated

import typer

from duet.errors import Refused
from duet.terminal.output import say
from duet.terminal.plain import plain

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]


def confirm(deed: str, *, yes: bool) -> None:
    """Ask on the terminal to confirm `deed`, such as `delete it with its log`.

    Raises:
        Refused: the user declined, or there is no terminal.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(f"this would {plain(deed)}: without a terminal, confirm with --yes")
    question = f"{deed[:1].upper()}{deed[1:]}"
    say(f"{plain(question)}? [y/N] ", end="", out=sys.stderr)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Refused("nothing was changed")
