"""Whether torch can use the machine's GPU, and the reason if not."""

import torch

from grpo.errors import RunError


def require_gpu() -> None:
    """Raise if a run that was assigned a GPU would silently train on the CPU.

    Raises:
        RunError: `gpu_unavailable`, with the driver's or CUDA's reason.
    """
    if torch.cuda.is_available():
        return
    raise RunError(
        "gpu_unavailable",
        f"the run was assigned a GPU, but torch {torch.__version__} cannot use it: {_cause()}",
        hint="`duet doctor` on the worker's machine compares its driver with torch's CUDA. Install "
        "the build for GPUs (`make setup GPU=1`) or a newer NVIDIA driver and restart the worker; "
        "or set DUET_WORKER_GPUS=none there, to train on the CPU.",
    )


def _cause() -> str:
    """Return the first line of torch's own reason."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "this build of torch is for the CPU"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # torch.cuda raises either
        return str(error).strip().split("\n", 1)[0]
    return f"CUDA {torch.version.cuda} finds no device"
