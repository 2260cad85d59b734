"""`duet doctor`: checks of this machine and its server."""

import sys
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from duet.connection import Key, Url
from duet.doctor.finding import Finding
from duet.doctor.machine import machine
from duet.doctor.server import server
from duet.errors import FAILED
from duet.terminal.output import print_json
from duet.terminal.plain import console, plain_lines

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
STATE_WIDTH, NAME_WIDTH = 4, 8


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Check this machine and its server, with advice; exit code 1 if a check fails."""
    out = console()
    found = []
    for finding in chain(machine(Path.cwd()), server(url, key)):
        found.append(finding)
        if not as_json:
            _print(out, finding)
    if as_json:
        print_json([asdict(finding) for finding in found])
    if any(finding.state == "fail" for finding in found):
        sys.exit(FAILED)


def _print(out: Console, finding: Finding) -> None:
    row = Table.grid(padding=(0, 1))
    for width in (STATE_WIDTH, NAME_WIDTH, None):
        row.add_column(width=width)
    row.add_row(
        Text(finding.state, STYLES[finding.state]), finding.name, Text(plain_lines(finding.said))
    )
    if finding.advice:
        row.add_row("", "", Text(plain_lines(f"→ {finding.advice}")))
    out.print(row)
