"""docs/gpu.md has a row for each fault that was found, with tests that there are or a reason."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/gpu.md").read_text()
FAULTS = [*(f"A{n}" for n in range(1, 12)), *(f"B{n}" for n in range(1, 16))]
ROWS = re.findall(r"^\| ([AB]\d+) .+ \| .+ \| (.+) \|$", PAGE, re.MULTILINE)


def test_every_fault_has_a_row():
    assert [fault for fault, _ in ROWS] == FAULTS


def test_every_row_has_a_test_or_a_reason():
    assert [fault for fault, shown in ROWS if "`test_" not in shown and "Reason" not in shown] == []


def test_every_test_that_is_named_is_there():
    found = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.M)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) >= 30
    assert named - found == set()
