"""docs/cli.md names the existing commands."""

import re
from pathlib import Path

import typer
from typer.core import TyperGroup

from duet.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_names_every_command_and_no_other():
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| `duet ")]
    named = [
        name for line in table for name in re.findall(r"`duet ([a-z -]+)`", line.split("|")[1])
    ]
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    known = set()
    for name, command in root.commands.items():
        groups = command.commands if isinstance(command, TyperGroup) else {}
        if not groups or command.invoke_without_command:  # pyright: ignore[reportAttributeAccessIssue]
            known.add(name)
        known |= {f"{name} {below}" for below in groups}
    assert sorted(named) == sorted(known)
