"""docs/api.md and docs/python.md are true: their blocks run, one after another, against a running
server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.endtoend.conftest import Stack
from tests.waiting import deadline

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


GUIDES = [("api.md", "bash"), ("api.md", "python"), ("python.md", "python")]


@pytest.mark.parametrize(("guide", "language"), GUIDES)
def test_the_guides_examples_run(guide: str, language: str, stack: Stack, tmp_path: Path):
    text = (DOCS / guide).read_text()
    blocks = [code for kind, code in BLOCK.findall(text) if kind == language]
    assert len(blocks) > 5
    done = subprocess.run(
        [*COMMANDS[language], "\n".join(blocks)],
        env={**os.environ, "DUET_URL": stack.url, "DUET_API_KEY": stack.key},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=deadline(240),
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("guide", ["api.md", "python.md"])
def test_every_block_is_run(guide: str):
    written = {kind for kind, _ in BLOCK.findall((DOCS / guide).read_text())}
    assert written == {language for name, language in GUIDES if name == guide}
