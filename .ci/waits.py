"""Fail where a test waits for a fixed number of seconds, which a slower machine could exceed."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SHORTEST_SECONDS = 2
"""Longest fixed time allowed: a check that something does not change."""


def main(folder: str) -> int:
    found = [
        f"{path}:{line}: a fixed limit: write deadline(seconds), of tests/waiting.py"
        for path in sorted(Path(folder).rglob("*.py"))
        for line in fixed_limits(path.read_text())
    ]
    print("".join(f"{text}\n" for text in found), end="")
    return 1 if found else 0


def fixed_limits(source: str) -> Iterator[int]:
    """Yield the lines on which a wait is given a number."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call | ast.BinOp) and any(map(_is_long, _limits(node))):
            yield node.lineno


def _limits(node: ast.Call | ast.BinOp) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.right] if ast.unparse(node.left).endswith("monotonic()") else []
    waits = isinstance(node.func, ast.Attribute) and node.func.attr in ("wait", "join")
    named = [keyword.value for keyword in node.keywords if keyword.arg == "timeout"]
    return [*named, *(node.args if waits else [])]


def _is_long(limit: ast.expr) -> bool:
    return (
        isinstance(limit, ast.Constant)
        and isinstance(limit.value, int | float)
        and limit.value >= SHORTEST_SECONDS
    )


if __name__ == "__main__":
    sys.exit(main("tests"))
