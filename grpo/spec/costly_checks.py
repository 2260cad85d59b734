"""The deferred checks, run in a process that may be ended."""

import signal
from collections.abc import Sequence
from typing import Any

from grpo.spec.resolve import SpecError, resolve


def problems_of(rewards: Sequence[dict[str, Any]], cpu_seconds: float) -> list[tuple[str, str]]:
    """Return the problems of a spec's rewards, with JSON pointers.  After `cpu_seconds` of CPU time
    the process ends: no handler runs during a pattern's compilation."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        resolve({"preset": None, "rewards": list(rewards)})
    except SpecError as error:
        return error.problems
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return []


def load() -> None:
    """Import the modules of the checks, before their time limit starts."""
    resolve({"rewards": [{"type": "json_schema", "definition": {"$ref": "#"}}]})
