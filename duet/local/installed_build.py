"""Whether the installed torch can use a GPU, read without importing it."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

CPU_BUILD = "+cpu"
"""Version suffix of torch's CPU builds."""


def unusable_gpus(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's variables that hide GPUs from a CPU-only installation, unless the user
    has named GPUs."""
    named = environment.get("DUET_WORKER_GPUS") or "CUDA_VISIBLE_DEVICES" in environment
    return {} if named or not is_for_cpu() else {"DUET_WORKER_GPUS": "none"}


def is_for_cpu() -> bool:
    """Whether the installed torch is a CPU build."""
    try:
        return version("torch").endswith(CPU_BUILD)
    except PackageNotFoundError:
        return False
