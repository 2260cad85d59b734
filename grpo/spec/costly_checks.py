"""The deferred checks, run in a process that can be ended."""

import signal
from collections.abc import Sequence
from typing import Any

from grpo.rewards.deferral import costly
from grpo.rewards.reward import Reward
from grpo.runtime.bounded_process import TooCostly, call_bounded
from grpo.spec.resolve import SpecError, resolve

CPU_SECONDS = 2.0  # for a spec's rewards; a typical spec takes a thousandth
SECONDS = 30.0  # wall time on a busy machine, including process start
MEMORY_BYTES = 1 << 30
TOO_COSTLY = (
    "the patterns, schemas, formulas and code of these rewards take more than "
    f"{CPU_SECONDS:g} s to check: simplify them"
)


def problems_of(rewards: Sequence[dict[str, Any]], cpu_seconds: float) -> list[tuple[str, str]]:
    """Return the problems of a spec's rewards, with JSON pointers.  The process ends after
    `cpu_seconds` of CPU time, since no signal handler runs while a pattern compiles."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        resolve({"preset": None, "rewards": list(rewards)})
    except SpecError as error:
        return error.problems
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return []


def problems_apart(rewards: Sequence[Reward]) -> list[tuple[str, str]]:
    """Run the deferred checks in a new process with limits, and return the problems found."""
    if not costly(rewards):
        return []
    written = [reward.model_dump(mode="json") for reward in rewards]
    try:
        return call_bounded(
            _problems_once_loaded, written, seconds=SECONDS, memory_bytes=MEMORY_BYTES
        )
    except TooCostly:
        return [("/rewards", TOO_COSTLY)]


def _problems_once_loaded(rewards: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    load()
    return problems_of(rewards, CPU_SECONDS)


def load() -> None:
    """Import the modules of the checks, before their time limit starts."""
    resolve({"rewards": [{"type": "json_schema", "definition": {"$ref": "#"}}]})
