"""docs/reliability.md names existing tests."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/reliability.md").read_text()
NAMED = set(re.findall(r"`(test_\w+)`", PAGE))


def test_every_named_test_exists():
    sources = [path.read_text() for path in TESTS.rglob("test_*.py")]
    found = {
        name
        for text in sources
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", text, re.M)
    }
    assert len(NAMED) >= 40
    assert NAMED - found == set()


def test_every_promise_has_a_test():
    promises, _, _ = PAGE.partition("### Measured")
    rows = [line for line in promises.splitlines() if line.startswith("| ")]
    promised = [row for row in rows if not row.endswith("| tests |")]
    assert len(promised) >= 25
    assert [row for row in promised if "`test_" not in row] == []
