"""System requirements of training: a missing one is a sentence before any job runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import deadline


def checked(folder: Path) -> tuple[int, str]:
    """Run the check with the programs of one folder alone."""
    done = subprocess.run(
        [sys.executable, "-m", "grpo.runtime.system_needs"],
        env={**os.environ, "PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=deadline(30),
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def put_lscpu(folder: Path, script: str) -> None:
    (folder / "lscpu").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "lscpu").chmod(0o755)


def test_without_lscpu_the_package_is_named(tmp_path: Path):
    sentence = "vLLM needs the program lscpu: `apt install util-linux`\n"
    assert checked(tmp_path) == (1, sentence)


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("echo 'lscpu: failed to determine number of CPUs' >&2; exit 1", "failed to determine"),
        ("exit 1", "exit code 1"),
        ("echo 'unrecognized option --extended' >&2; exit 2", "unrecognized option"),
    ],
)
def test_an_lscpu_that_cannot_list_the_processors_is_a_missing_requirement(
    tmp_path: Path, script: str, shown: str
):
    """Cases: /sys is not mounted, or another lscpu does not know vLLM's options."""
    put_lscpu(tmp_path, script)
    code, sentence = checked(tmp_path)
    assert code == 1
    assert sentence.startswith("vLLM lists the processors with lscpu, which fails (")
    assert shown in sentence
    assert "mount /sys" in sentence
    assert sentence.count("\n") == 1


def test_with_a_working_lscpu_nothing_is_missing(tmp_path: Path):
    (tmp_path / "lscpu").symlink_to(shutil.which("lscpu") or pytest.fail("no lscpu"))
    assert checked(tmp_path) == (0, "")
