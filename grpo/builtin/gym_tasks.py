"""The tasks of the pinned reasoning-gym, with their parameters and first rows.

`reasoning-gym/tasks.json` is written by `python -m grpo.builtin.gym_recipe`, so that a spec can be
checked where the library is not installed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from grpo.spec.data import GYM_PREFIX

TASKS_FILE = Path(__file__).parent / "reasoning-gym/tasks.json"
VERSION = "0.1.25"


@dataclass(frozen=True)
class GymTask:
    """A task: its parameters with their defaults, and the first rows that it generates."""

    name: str
    parameters: Mapping[str, Any]
    fields: Mapping[str, str | None]
    """Field -> the reason why no template can use it, or None."""
    rows: tuple[dict[str, Any], ...]

    def check_parameters(self, parameters: Mapping[str, Any]) -> None:
        """
        Raises:
            ValueError: the task has no parameter of that name, or one of another type.
        """
        for name, value in parameters.items():
            if name not in self.parameters:
                there = ", ".join(sorted(self.parameters)) or "none"
                raise ValueError(f"{self.name} has no parameter {name!r}; its parameters: {there}")
            default = self.parameters[name]
            if isinstance(default, list) != isinstance(value, list):
                kind = "a list of numbers" if isinstance(default, list) else "one number"
                raise ValueError(f"parameter {name!r} of {self.name} must be {kind}")


@cache
def gym_tasks() -> Mapping[str, GymTask]:
    """Return all tasks by name."""
    found = json.loads(TASKS_FILE.read_text())
    return {
        name: GymTask(name, task["parameters"], task["fields"], tuple(task["rows"]))
        for name, task in found.items()
    }


def gym_task(source: str) -> GymTask:
    """Return the task of a source `reasoning-gym:TASK`.

    Raises:
        ValueError: there is no such task.
    """
    name = source.removeprefix(GYM_PREFIX)
    if (task := gym_tasks().get(name)) is not None:
        return task
    close = get_close_matches(name[:100], gym_tasks(), n=3)
    meant = f"did you mean {' or '.join(close)}?" if close else "see docs/reasoning-gym.md"
    raise ValueError(f"reasoning-gym {VERSION} has no task {name[:100]!r}; {meant}")
