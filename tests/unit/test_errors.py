"""The table of errors against the source that raises them, and against docs/errors.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo.errors import ERRORS, RunError

ROOT = Path(__file__).parents[2]
FOLDERS = ("grpo", "worker", "store")
RAISING = ("RunError", "failed")  # `failed` is worker.attempt.outcome's
ROW = re.compile(r"^\| `([a-z_]+)` \| (.+) \| (yes|no) \|$", re.MULTILINE)


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def codes(expression: ast.expr, module: ast.Module) -> set[str]:
    """Possible values of a first argument: a text, one of two, or the values assigned to that name.

    `error.code` and `error["code"]` hand on what was raised elsewhere.
    """
    match expression:
        case ast.Constant(str(code)):
            return {code}
        case ast.IfExp(_, yes, no):
            return codes(yes, module) | codes(no, module)
        case ast.Name(name):
            given = [value for value in values(name, module) if not is_name(value, name)]
            return {code for value in given for code in codes(value, module)}
        case ast.Attribute(attr="code") | ast.Subscript(slice=ast.Constant("code")):
            return set()
    raise AssertionError(f"line {expression.lineno}: which code is {ast.unparse(expression)}?")


def values(name: str, module: ast.Module) -> Iterator[ast.expr]:
    """Values assigned to a name, or passed for a parameter of that name."""
    for node in ast.walk(module):
        match node:
            case ast.Assign([ast.Name(target)], value) if target == name:
                yield value
            case ast.FunctionDef(function, arguments) if function not in RAISING:
                places = [argument.arg for argument in arguments.args]
                if name in places:
                    yield from (c.args[places.index(name)] for c in calls(module, function))


def is_name(expression: ast.expr, name: str) -> bool:
    return isinstance(expression, ast.Name) and expression.id == name


def codes_of(module: ast.Module) -> set[str]:
    raised = [codes(call.args[0], module) for name in RAISING for call in calls(module, name)]
    written = [
        codes(value, module)
        for node in ast.walk(module)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant)
    ]
    return set().union(*raised, *written)


def test_every_code_of_the_source_is_in_the_table_and_none_is_for_nothing():
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = set().union(*(codes_of(ast.parse(path.read_text())) for path in paths))
    assert found == set(ERRORS)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise RunError('a', text, hint=hint)", {"a"}),
        ("RunError('a' if full else 'b', text, hint=hint)", {"a", "b"}),
        ("def no(folder, code): return RunError(code, '', hint='')\nno(1, 'a')", {"a"}),
        ("def no(code): return RunError(code, '', hint='')\ncode = 'b'\nno(code)", {"b"}),
        ("failed(error['code'], text, hint)", set()),
        ("error = {'code': 'c', 'message': text}", {"c"}),
    ],
)
def test_codes_are_found_however_they_are_given(source: str, found: set[str]):
    module = ast.parse(source)
    assert codes_of(module) == found


def test_the_page_is_the_table():
    written = ROW.findall((ROOT / "docs/errors.md").read_text())
    table = {(code, kind.meaning, "yes" if kind.retried else "no") for code, kind in ERRORS.items()}
    assert len(written) == len(table)
    assert set(written) == table


def test_the_table_decides_whether_an_error_is_retried():
    assert not RunError("bad_data", "line 3", hint="Mend it.").retryable
    assert RunError("disk_full", "no room", hint="Make some.").retryable
    with pytest.raises(KeyError):
        RunError("no_such_code", "?", hint="?")
