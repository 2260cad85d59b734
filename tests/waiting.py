"""Waits with limits that scale with the machine."""

import time
from collections.abc import Callable
from typing import Any

from tests.machine import slowness

MARGIN = 4.0
"""For what else may run on the machine while a test waits: load comes and goes, so it is not
measured but allowed for.  It costs time only where a test fails."""


def deadline(seconds: float) -> float:
    """Return the seconds that a wait may last here, where quiet cores of the reference machine
    would be done well within `seconds`."""
    return seconds * MARGIN * slowness()


def wait_until(
    found: Callable[[], Any], *, seconds: float = 30, told: Callable[[], str] = str
) -> Any:
    """Return what it finds, once that is something; a test then relies on it.

    `seconds` become this machine's by `deadline`; `told` is what a failure should say besides.
    """
    limit = deadline(seconds)
    latest = time.monotonic() + limit
    while not (value := found()):
        assert time.monotonic() < latest, f"not within {limit:.0f} s\n{told()}"
        time.sleep(0.02)
    return value
