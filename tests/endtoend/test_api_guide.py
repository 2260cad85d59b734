"""docs/api.md is true: its blocks run, one after another, against a running server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.endtoend.conftest import Stack

GUIDE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}


@pytest.mark.parametrize("language", COMMANDS)
def test_the_guides_examples_run(language: str, stack: Stack, tmp_path: Path):
    blocks = [code for kind, code in BLOCK.findall(GUIDE.read_text()) if kind == language]
    assert len(blocks) > 5
    done = subprocess.run(
        [*COMMANDS[language], "\n".join(blocks)],
        env={**os.environ, "DUET_URL": stack.url, "DUET_KEY": stack.key},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_every_block_is_run():
    assert {kind for kind, _ in BLOCK.findall(GUIDE.read_text())} == set(COMMANDS)
