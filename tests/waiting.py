"""Waiting for what others do."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(found: Callable[[], Any], *, seconds: float = 30) -> Any:
    """What it finds, once that is something; a test then relies on it."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return value
