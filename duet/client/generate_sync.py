"""Generates `duet/client/sync` from `duet/client/aio`: `python -m duet.client.generate_sync`.

The client is written once, with `async`; the synchronous one is the same code without it.  Both are
in the repository, so that readers and debuggers see plain code, and a test fails if they differ
(docs/decisions/0019).
"""

import re
import subprocess
import sys
from pathlib import Path

AIO = Path(__file__).parent / "aio"
SYNC = Path(__file__).parent / "sync"

RULES = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"await anyio\.to_thread\.run_sync\((\w+), ", r"\1("),
        (r"import anyio(\.to_thread)?\n", "import time\n"),
        (r"anyio\.sleep", "time.sleep"),
        (r"\b(async|await) ", ""),
        (r"\basynccontextmanager\b", "contextmanager"),
        (r"\b__a(enter|exit)__\b", r"__\1__"),
        (r"\ba(close|closing|read|iter_bytes|iter_lines)\b", r"\1"),
        (r"\bAsync([A-Z]\w*)\b", r"\1"),
        (r"\bduet\.client\.aio\b", "duet.client.sync"),
        (
            r"\A",
            "# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.\n\n",
        ),
    )
]


def twin_of(source: Path) -> str:
    """Return the same file without `async`, formatted."""
    text = source.read_text()
    for pattern, words in RULES:
        text = pattern.sub(words, text)
    for command in (["check", "--fix", "--select=I,F401"], ["format"]):
        name = f"--stdin-filename={SYNC / source.name}"
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", name, "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    for source in sorted(AIO.glob("[!_]*.py")):
        (SYNC / source.name).write_text(twin_of(source))


if __name__ == "__main__":
    main()
