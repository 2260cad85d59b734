"""Refuse docstrings whose first line begins with a pronoun, a question word, "Of" or "As".

A docstring names the thing: a noun phrase for a value, a verb for a function.
`python .ci/docstrings.py FOLDER...` prints the offending lines; exit code 1 if there are any.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

REFUSED = re.compile(
    r"(What|Who|Whom|Whose|Whoever|Whatever|How|Why|When|Where|Which|Of|As|Nothing"
    r"|Nobody|Somebody|Everybody|Anybody|It|Its|They|Their|He|She|His|Her|We|Our|Ours|I|You|Yours"
    r"|That|Those|This|These|So many|The one)\b(?!-)"
)


def main(folders: list[str]) -> int:
    found = [line for folder in folders for line in _refused_below(Path(folder))]
    for line in found:
        print(line)
    if found:
        print(f"{len(found)} docstrings name no value and no action", file=sys.stderr)
    return 1 if found else 0


def _refused_below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        for line, text in _docstrings(ast.parse(path.read_text())):
            if REFUSED.match(text):
                yield f"{path}:{line}: {text.splitlines()[0]}"


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every string that is a statement: docstrings, including those of attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
