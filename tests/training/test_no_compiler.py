"""Training without a C++ compiler, as on a small Debian or in `python:3.11-slim`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.runs import end_of, finish_run, make_tiny_model, small_spec, write_sums
from tests.waiting import deadline

COMPILERS = ("CC", "CXX", "CPP")
FUNCTIONS = """
import torch
from grpo.runtime.compilation import compile_nothing_on_cpu

@torch.compile(dynamic=True, fullgraph=True)
def decorated(x):
    return (x.sin() + 1).sum()

compile_nothing_on_cpu()
late = torch.compile(lambda x: (x.cos() * 2).sum())
x = torch.arange(4.0)
assert torch.equal(decorated(x), (x.sin() + 1).sum())
assert torch.equal(late(x), (x.cos() * 2).sum())
"""


@pytest.fixture
def without_compiler(tmp_path: Path) -> dict[str, str]:
    """Environment without a compiler, and without compiled code of earlier runs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/lscpu").symlink_to(shutil.which("lscpu") or pytest.fail("no lscpu"))
    return {
        "PATH": str(tmp_path / "bin"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
        **dict.fromkeys(COMPILERS, "/nonexistent/compiler"),
    }


def test_a_job_trains_without_a_compiler(tmp_path: Path, without_compiler: dict[str, str]):
    spec = small_spec(
        make_tiny_model(tmp_path / "model"),
        write_sums(tmp_path / "sums.jsonl"),
        rollout={"engine": "vllm"},
        budget={"max_steps": 1},
    )
    run = finish_run(spec, tmp_path / "run", environment=without_compiler)
    assert end_of(run)["outcome"] == "completed"
    compiled = [path for path in (tmp_path / "inductor").rglob("*") if path.is_file()]
    assert compiled == []


def test_functions_marked_for_compilation_run_eagerly(without_compiler: dict[str, str]):
    """Functions marked before and after the call, as by models' modules at import."""
    command = [sys.executable, "-c", FUNCTIONS]
    done = subprocess.run(
        command,
        env={**os.environ, **without_compiler},
        capture_output=True,
        text=True,
        check=False,
        timeout=deadline(120),
    )
    assert done.returncode == 0, done.stderr[-2000:]
