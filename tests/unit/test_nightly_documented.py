"""Pages of docs/ say which of the tests they name run only at night."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
NAMED = re.compile(r"`(?:tests/[\w/]+\.py::)?(test_\w+)`(?P<nightly> \(nightly\))?")


def nightly(source: str) -> Iterator[str]:
    """Yield the tests of which every case is left out of `make test`."""
    tree = ast.parse(source)
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.value) == "pytest.mark.nightly"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    whole = any("pytest.mark.nightly" in mark for mark in _marks_of_all(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            is_test = node.name.startswith("test_")
            if (whole and is_test) or decorators & {"pytest.mark.nightly", *names}:
                yield node.name


def _marks_of_all(tree: ast.Module) -> Iterator[str]:
    """Yield the marks of a module's tests: those of its `pytestmark`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            yield from map(ast.unparse, marks)


def test_a_test_is_nightly_by_the_mark_or_by_a_name_for_it():
    source = """
LONG = pytest.mark.nightly
@pytest.mark.nightly
def test_one(): ...
@LONG
def test_two(): ...
@pytest.mark.parametrize("n", [pytest.param(1, marks=LONG), 2])
def test_three(n): ...
"""
    assert list(nightly(source)) == ["test_one", "test_two"]


def test_a_module_can_be_nightly_as_a_whole():
    source = """
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(9)]
def test_one(): ...
def helper(): ...
"""
    assert list(nightly(source)) == ["test_one"]
    assert list(nightly(source.replace("nightly, ", "slow, "))) == []


@pytest.mark.parametrize("page", ["gpu.md", "reliability.md", "security.md"])
def test_a_page_calls_nightly_what_only_runs_at_night(page: str):
    text = (DOCS / page).read_text()
    named = {match[1] for match in NAMED.finditer(text)}
    called = {match[1] for match in NAMED.finditer(text) if match["nightly"]}
    marked = {name for path in TESTS.rglob("test_*.py") for name in nightly(path.read_text())}
    assert called == named & marked
