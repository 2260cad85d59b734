"""Untrusted text is printed so that it cannot control the terminal."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duet.terminal.output import print_json, print_lines, print_table, say, tell
from duet.terminal.plain import plain, plain_json, plain_lines

DUET = Path(__file__).parents[2] / "duet"
PRINTERS = {"terminal/output.py": {"print"}, "terminal/plain.py": {"Console"}}
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj\u2066\u200f\ufeff\r\nforged\x7f\U000e0041"


@given(st.text())
def test_a_line_stays_one_printable_line(text: str):
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)


@given(st.text())
def test_lines_keep_their_ends_and_nothing_else_that_is_not_printable(text: str):
    assert all(char.isprintable() or char in "\n\t" for char in plain_lines(text))
    assert plain_lines(text).count("\n") == text.count("\n")


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_printable_text_is_unchanged(text: str):
    assert plain(text) == plain_lines(text) == text


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_means_the_same(value: object):
    written = plain_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(written) == value
    assert all(char.isprintable() or char == "\n" for char in written)


def test_each_way_of_printing_escapes(capsys: pytest.CaptureFixture[str]):
    say(HOSTILE)
    tell(HOSTILE)
    print_json({HOSTILE: [HOSTILE]})
    print_lines([HOSTILE, "[bold]:smile:[/bold]"])
    print_table([HOSTILE, "[red]"], [["[b]b[/b]", HOSTILE]], numbers=[HOSTILE])
    out, err = capsys.readouterr()
    assert all(char.isprintable() or char == "\n" for char in out + err)
    for markup in ("[bold]:smile:[/bold]", "[red]", "[b]b[/b]"):
        assert markup in out


def test_every_command_prints_by_them():
    found = {
        str(path.relative_to(DUET)): here
        for path in DUET.rglob("*.py")
        if path.parts[-2] in ("commands", "terminal", "doctor", "local")
        and (here := set(_printing(ast.parse(path.read_text()))))
    }
    assert found == PRINTERS


def _printing(tree: ast.AST) -> list[str]:
    """Calls that print: `print`, a console, or a write to a stream."""
    called = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    ways = ("print", "Console", "rich.print", "typer.echo", "sys.stdout.write", "sys.stderr.write")
    return [name for name in called if name in ways]
