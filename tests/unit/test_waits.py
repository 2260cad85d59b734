"""Waits in tests scale with the machine; `.ci/waits.py`, a part of `make check`, finds others."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.machine import slowness
from tests.waiting import MARGIN, deadline, wait_until


@pytest.fixture(scope="module")
def waits() -> ModuleType:
    path = Path(__file__).parents[2] / ".ci/waits.py"
    spec = spec_from_file_location("waits", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "process.wait(20)",
        "process.wait(timeout=20)",
        "subprocess.run(command, timeout=60, check=True)",
        "httpx.Client(base_url=url, timeout=20.0)",
        "thread.join(20)",
        "latest = time.monotonic() + 10",
    ],
)
def test_a_fixed_limit_is_found(waits: ModuleType, line: str):
    assert list(waits.fixed_limits(line)) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "process.wait(deadline(20))",
        "process.wait()",
        "queue.get(timeout=0.5)",
        "', '.join(['20'])",
        "latest = time.monotonic() + deadline(10)",
    ],
)
def test_scaled_waits_are_accepted(waits: ModuleType, line: str):
    assert list(waits.fixed_limits(line)) == []


def test_a_deadline_grows_with_the_machines_slowness_and_leaves_room_for_other_work():
    assert slowness() >= 1
    assert deadline(2) == pytest.approx(2 * MARGIN * slowness())


def test_a_failed_wait_raises_with_the_given_message():
    with pytest.raises(AssertionError, match="three jobs wait"):
        wait_until(lambda: False, seconds=0.01, told=lambda: "three jobs wait")
