"""The checks that were put off, made in a process that may be ended."""

import signal
from collections.abc import Sequence
from typing import Any

from grpo.spec.resolve import SpecError, resolve


def problems_of(rewards: Sequence[dict[str, Any]], cpu_seconds: float) -> list[tuple[str, str]]:
    """What is wrong with the rewards of a spec, with pointers into it.  When so much of the
    processor's time is used up, the process ends: no handler runs amid a pattern's compilation."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        resolve({"preset": None, "rewards": list(rewards)})
    except SpecError as error:
        return error.problems
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return []


def load() -> None:
    """What the checks import, before their time begins."""
    resolve({"rewards": [{"type": "json_schema", "definition": {"$ref": "#"}}]})
