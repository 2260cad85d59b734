"""Description of a worker's machine."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from store.database.database import Database
from store.settings import Settings
from store.tables import Worker
from store.workers import Gpu
from tests.waiting import deadline
from worker.machine.hardware import gpu_mistake, machine
from worker.machine.start_check import end_unless_able

TOLD = """\
0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559
1, GPU-bbbb, NVIDIA L4, 23034
"""
H100, L4 = Gpu("NVIDIA H100 80GB HBM3", 81559 * 2**20), Gpu("NVIDIA L4", 23034 * 2**20)


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> str:
    """Script that answers the query like the real one."""
    script = tmp_path / "nvidia-smi"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{TOLD}END\n")
    script.chmod(0o755)
    return str(script)


def test_a_machines_gpus_are_listed_in_the_given_order_by_index_or_uuid(nvidia_smi: str):
    assert machine(["1", "0"], nvidia_smi=nvidia_smi).gpus == [L4, H100]
    assert machine(["GPU-bbbb", "7"], nvidia_smi=nvidia_smi).gpus == [L4]


def test_without_gpus_or_without_nvidia_smi_there_are_none(nvidia_smi: str, tmp_path: Path):
    assert machine([], nvidia_smi=nvidia_smi).gpus == ()
    assert machine(["0"], nvidia_smi=str(tmp_path / "missing")).gpus == []


def test_memory_and_versions_are_read_without_loading_torch():
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


@pytest.mark.parametrize("devices", ["0,0", "0,GPU-aaaa", "GPU-a,0", "1,0,01", "GPU-bbbb,0,GPU-b"])
def test_a_gpu_that_is_named_twice_is_refused(nvidia_smi: str, devices: str):
    mistake = gpu_mistake(devices.split(","), nvidia_smi=nvidia_smi)
    assert mistake is not None
    assert mistake.startswith("one GPU is listed twice, as ")


def test_names_alone_show_a_gpu_twice_where_nvidia_smi_is_missing(tmp_path: Path):
    missing = str(tmp_path / "missing")
    assert gpu_mistake(["0", "1"], nvidia_smi=missing) is None
    assert gpu_mistake(["1", "MIG-a", "MIG-a"], nvidia_smi=missing) is not None


def test_a_gpu_that_is_not_there_is_refused_and_a_part_of_one_is_not(nvidia_smi: str):
    mistake = gpu_mistake(["0", "7"], nvidia_smi=nvidia_smi)
    assert mistake == "GPU 7 does not exist: nvidia-smi lists 0, 1"
    assert gpu_mistake(["MIG-1", "MIG-2", "1"], nvidia_smi=nvidia_smi) is None


def test_a_worker_with_a_gpu_twice_does_not_start(nvidia_smi: str):
    with pytest.raises(SystemExit, match=r"DUET_WORKER_GPUS .*: one GPU is listed twice"):
        end_unless_able(["0", "GPU-aaaa"], nvidia_smi=nvidia_smi)


def test_a_worker_without_required_software_exits_before_it_registers(
    settings: Settings, database: Database, tmp_path: Path
):
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "ARTIFACTS_URL": settings.artifacts_url,
        "PATH": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "worker"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=deadline(120),
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "no job can train on this machine: vLLM needs the program lscpu: `apt install util-linux`\n"
    )
    with database.session() as session:
        assert session.scalars(select(Worker)).all() == []
