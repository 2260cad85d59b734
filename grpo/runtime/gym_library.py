"""The library reasoning-gym, loaded without the parts that no task needs."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

PARAMETER_ITEMS = (int, float, bool)
# cellpylib imports them for pictures of automata, which no task draws.
PICTURES = (
    "matplotlib",
    "matplotlib.pyplot",
    "matplotlib.animation",
    "matplotlib.collections",
    "mpl_toolkits",
    "mpl_toolkits.mplot3d",
)
SOLVER = "pycosat"
NEEDS_SOLVER = frozenset({"zebra_puzzles"})
COMPOSED = frozenset({"composite"})
"""Mixtures of tasks, which are no tasks themselves."""


class GymDataset(Protocol):
    """A task's generator and scorer."""

    def __getitem__(self, index: int) -> dict[str, Any]: ...

    def score_answer(self, answer: str | None, entry: Mapping[str, Any]) -> float: ...


class TaskUnusable(ValueError):
    """A task that this machine cannot generate, or parameters that the task refuses."""


def task_names() -> list[str]:
    """Return the names of the library's tasks."""
    return sorted(_library().DATASETS.keys() - COMPOSED)


def defaults_of(task: str) -> dict[str, Any]:
    """Return a task's parameters that a spec may set, with their defaults."""
    config = _library().DATASETS[task][1]()
    return {
        name: value
        for name, value in vars(config).items()
        if name not in ("seed", "size") and _is_parameter(value)
    }


def check_solver(task: str) -> None:
    """
    Raises:
        TaskUnusable: the task's generator needs a package that is missing.
    """
    if task in NEEDS_SOLVER and not hasattr(_solver(), "itersolve"):
        raise TaskUnusable(f"{task} needs the package {SOLVER}: pip install {SOLVER}")


def make_dataset(task: str, parameters: Mapping[str, Any], *, seed: int, size: int) -> GymDataset:
    """Make a task's dataset.

    Raises:
        TaskUnusable: the parameters are refused.
    """
    try:
        return _library().create_dataset(task, seed=seed, size=size, **parameters)
    except (AssertionError, TypeError, ValueError) as error:
        raise TaskUnusable(f"{task} refuses its parameters: {error}") from error


def _is_parameter(value: object) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(isinstance(item, PARAMETER_ITEMS) for item in value)
    return isinstance(value, PARAMETER_ITEMS)


def _library() -> ModuleType:
    for name in PICTURES:
        if name not in sys.modules:
            sys.modules[name] = _Placeholder(name)
    _solver()
    importlib.import_module("reasoning_gym")
    return importlib.import_module("reasoning_gym.factory")


def _solver() -> ModuleType:
    """Return the SAT solver; without a wheel or a compiler a placeholder."""
    try:
        return importlib.import_module(SOLVER)
    except ImportError:
        sys.modules[SOLVER] = ModuleType(SOLVER)
        return sys.modules[SOLVER]


class _Placeholder(ModuleType):
    """A module whose every name is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
