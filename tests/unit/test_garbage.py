"""Ends of processes that leave garbage collection out: exit codes, exit functions, output."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, gc, sys
from grpo.runtime.garbage import QuickEnd, collection_paused
end = QuickEnd()
with collection_paused():
    assert not gc.isenabled()
    import json
assert gc.isenabled() and gc.get_freeze_count()
atexit.register(sys.stdout.write, "closed")
{}
"""


def ended(last: str) -> subprocess.CompletedProcess[str]:
    """Run the program with a last statement."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(last)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("code", [0, 1, 2])
def test_exit_functions_run_and_output_is_flushed(code: int):
    done = ended(f"end.code = {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "closed", "")


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [
        ("raise ValueError('broken')", 1, "ValueError: broken"),
        ("sys.exit('usage')", 1, "usage"),
        ("sys.exit(3)", 3, ""),
    ],
)
def test_an_exception_ends_the_process_as_usual(last: str, code: int, said: str):
    done = ended(last)
    assert (done.returncode, done.stdout) == (code, "closed")
    assert said in done.stderr
