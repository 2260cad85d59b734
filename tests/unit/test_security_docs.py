"""docs/security.md: every threat names existing tests."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
ROW = re.compile(
    r"^\| (?P<threat>[^|]+) \| (?P<answer>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE
)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[tuple[str, str]]:
    """Return threat and tests of all rows."""
    found = [(row["threat"].strip(), row["tests"].strip()) for row in ROW.finditer(TEXT)]
    return [row for row in found if not set(row[0]) <= {"-"} and row[0] != "threat"]


def missing(path: str, name: str) -> str | None:
    file = ROOT / path
    if not file.is_file():
        return f"{path} is not there"
    tests = {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    return None if name in tests and name.startswith("test_") else f"{path} has no {name}"


def test_every_threat_names_a_test():
    unguarded = [threat for threat, tests in rows() if not NAMED.search(tests)]
    assert unguarded == []
    assert len(rows()) >= 30


def test_every_test_that_is_named_exists():
    named = NAMED.findall(TEXT)
    assert [problem for path, name in named if (problem := missing(path, name))] == []


def test_a_name_that_is_wrong_is_found():
    here = "tests/unit/test_security_docs.py"
    assert missing(here, "test_every_threat_names_a_test") is None
    assert missing(here, "test_nothing") == f"{here} has no test_nothing"
    assert missing(here, "missing") == f"{here} has no missing"
    assert missing("tests/nowhere.py", "test_x") == "tests/nowhere.py is not there"
