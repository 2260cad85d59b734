"""A campaign's time limits are this machine's: a slow one is not judged as stuck."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[1] / "chaos"
LIMITS = {
    "campaign.py": {"PATIENCE_SECONDS", "STUCK_SECONDS", "LONGEST_SECONDS", "TIDY_SECONDS"},
    "system.py": {"START_SECONDS", "STOP_SECONDS"},
    "users.py": {"REQUEST_SECONDS", "PATIENCE_SECONDS"},
}


def unscaled(source: str, limits: set[str]) -> Iterator[str]:
    """Yield each use of a limit that is not an argument of `deadline`."""
    tree = ast.parse(source)
    scaled = {
        id(argument)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "deadline"
        for argument in call.args
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            continue
        if node.id in limits and id(node) not in scaled:
            yield f"{node.id} in line {node.lineno}"


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_of_a_campaign_scales_with_the_machine(name: str):
    source = (CHAOS / name).read_text()
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert used >= LIMITS[name]
    assert list(unscaled(source, LIMITS[name])) == []


def test_a_limit_that_does_not_scale_is_found():
    assert list(unscaled("latest = now + STUCK_SECONDS", {"STUCK_SECONDS"})) == [
        "STUCK_SECONDS in line 1"
    ]
    assert list(unscaled("latest = now + deadline(STUCK_SECONDS)", {"STUCK_SECONDS"})) == []


def test_a_campaign_waits_by_no_number_of_its_own():
    """900 s for 20 jobs were judged as stuck on a loaded machine."""
    for name in LIMITS:
        added = [
            part.value
            for node in ast.walk(ast.parse((CHAOS / name).read_text()))
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
            for part in (node.left, node.right)
            if isinstance(part, ast.Constant) and isinstance(part.value, int | float)
        ]
        assert all(number < 5 for number in added), name
