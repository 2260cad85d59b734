"""Check, before the worker registers, whether jobs can train on this machine and on which GPUs."""

from collections.abc import Sequence

from grpo.runtime.system_needs import missing_needs
from worker.machine.gpus import NVIDIA_SMI, DriverFailed, device_names, list_cards
from worker.machine.hardware import gpu_mistake


def end_unless_able(gpus: Sequence[str] | None, *, nvidia_smi: str = NVIDIA_SMI) -> tuple[str, ...]:
    """Return the names of the worker's GPUs; exit unless jobs can train here.

    `gpus`: names as in CUDA_VISIBLE_DEVICES; None: all of the machine's.

    Raises:
        SystemExit: every job would fail here; the message says why and what to do.
    """
    names = _found(nvidia_smi) if gpus is None else tuple(gpus)
    missing = missing_needs(gpu=bool(names))
    if missing:
        raise SystemExit(f"no job can train on this machine: {'; '.join(missing)}")
    # Names that nvidia-smi has just listed need no check.
    mistake = None if gpus is None else gpu_mistake(names, nvidia_smi=nvidia_smi)
    if mistake:
        raise SystemExit(f"DUET_WORKER_GPUS (or CUDA_VISIBLE_DEVICES): {mistake}")
    return names


def _found(nvidia_smi: str) -> tuple[str, ...]:
    try:
        return device_names(list_cards(nvidia_smi))
    except DriverFailed as failure:
        raise SystemExit(
            f"nvidia-smi cannot list this machine's GPUs: {failure}\n"
            "Repair the NVIDIA driver, or set DUET_WORKER_GPUS=none to train on the CPU."
        ) from failure
