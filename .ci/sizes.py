"""Refuse functions that do not fit a screen, and classes that do not fit a few.

`python .ci/sizes.py PATH...` (folders or files): the offending definitions; exit code 1 where
there are any.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_LINES = 40
"""Limit of a function, with its signature and docstring and the functions inside it."""
MOST_LINES_OF_A_CLASS = 150
TABLES = frozenset({("store/settings.py", "Settings")})
"""Classes that are a list of fields: exempt, their functions are not."""


def main(paths: list[str]) -> int:
    found = [line for path in paths for line in _oversized(Path(path))]
    for line in found:
        print(line)
    if found:
        print(f"{len(found)} functions or classes are too long: split them", file=sys.stderr)
    return 1 if found else 0


def _oversized(given: Path) -> Iterator[str]:
    for path in [given] if given.is_file() else sorted(given.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    most = MOST_LINES
                case ast.ClassDef() if (path.as_posix(), node.name) not in TABLES:
                    most = MOST_LINES_OF_A_CLASS
                case _:
                    continue
            num_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if num_lines > most:
                yield f"{path}:{node.lineno}: {node.name} has {num_lines} lines, of at most {most}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
