"""Whether jobs can train on this machine, asked before the worker registers and claims one."""

from collections.abc import Sequence

from grpo.runtime.system_needs import missing_needs
from worker.machine.hardware import NVIDIA_SMI, gpu_mistake


def end_unless_able(gpus: Sequence[str], *, nvidia_smi: str = NVIDIA_SMI) -> None:
    """Exit unless jobs can train here.  `gpus`: the worker's, as in DUET_WORKER_GPUS.

    Raises:
        SystemExit: every job would fail here; the message says why and what to do.
    """
    missing = missing_needs(gpu=bool(gpus))
    if missing:
        raise SystemExit(f"no job can train on this machine: {'; '.join(missing)}")
    mistake = gpu_mistake(gpus, nvidia_smi=nvidia_smi)
    if mistake:
        raise SystemExit(f"DUET_WORKER_GPUS (or CUDA_VISIBLE_DEVICES): {mistake}")
