"""What a worker says of its machine."""

import platform
from pathlib import Path

import pytest

from store.workers import Gpu
from worker.hardware import machine

TOLD = """\
0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559
1, GPU-bbbb, NVIDIA L4, 23034
"""
H100, L4 = Gpu("NVIDIA H100 80GB HBM3", 81559 * 2**20), Gpu("NVIDIA L4", 23034 * 2**20)


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> str:
    """Answers as the real one does to its query."""
    script = tmp_path / "nvidia-smi"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{TOLD}END\n")
    script.chmod(0o755)
    return str(script)


def test_its_gpus_are_named_in_its_own_order_by_index_or_uuid(nvidia_smi: str):
    assert machine(["1", "0"], nvidia_smi=nvidia_smi).gpus == [L4, H100]
    assert machine(["GPU-bbbb", "7"], nvidia_smi=nvidia_smi).gpus == [L4]


def test_without_gpus_or_without_nvidia_smi_there_are_none(nvidia_smi: str, tmp_path: Path):
    assert machine([], nvidia_smi=nvidia_smi).gpus == ()
    assert machine(["0"], nvidia_smi=str(tmp_path / "missing")).gpus == []


def test_its_memory_and_versions_are_known_without_loading_torch():
    found = machine([])
    assert (
        found.memory_bytes
        == int(
            next(
                line.split()[1]
                for line in Path("/proc/meminfo").read_text().splitlines()
                if line.startswith("MemTotal")
            )
        )
        * 1024
    )
    assert found.versions["python"] == platform.python_version()
    assert {"duet", "torch", "transformers", "vllm"} <= found.versions.keys()
