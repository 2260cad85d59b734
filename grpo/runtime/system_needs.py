"""Programs and libraries that training takes from the system, which no Python package brings.

Looked for before there is a job, since a job could only fail of them: `python -m
grpo.runtime.system_needs` prints what is missing, a sentence a line, and exits with 1.
"""

import ctypes
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

VLLM_CPU_LIBRARIES = {"libnuma.so.1": "libnuma1", "libstdc++.so.6": "libstdc++6"}
"""Shared libraries that vLLM's build for the CPU opens, and the Debian packages that hold them."""
C_COMPILERS = ("cc", "gcc", "clang")


def missing_needs(*, gpu: bool) -> list[str]:
    """What is missing here, a sentence each, which ends with what to do.

    `gpu`: whether jobs train on a GPU.
    """
    return [*_semaphores(), *(_gpu() if gpu else _vllm_cpu())]


def _semaphores() -> Iterator[str]:
    """Python's locks between processes, by which rewards are computed, lie in shared memory."""
    try:
        multiprocessing.get_context("fork").Lock()
    except OSError as error:
        yield (
            f"/dev/shm cannot be used ({error.strerror}), where processes share locks: mount it "
            "writable and not full (Docker: --shm-size 64m)"
        )


def _vllm_cpu() -> Iterator[str]:
    if not _installed("vllm-cpu"):
        return
    for library, package in VLLM_CPU_LIBRARIES.items():
        if not _opens(library):
            yield f"vLLM needs the system library {library}: `apt install {package}`"
    if shutil.which("lscpu") is None:
        yield "vLLM needs the program lscpu: `apt install util-linux`"


def _gpu() -> Iterator[str]:
    """Triton compiles vLLM's kernels for the GPU on the spot."""
    named = (os.environ["CC"],) if os.environ.get("CC") else C_COMPILERS
    if _installed("vllm") and not any(map(shutil.which, named)):
        yield (
            "vLLM on a GPU needs a C compiler, for Triton's kernels, and there is no "
            f"{' or '.join(named)}: `apt install gcc libc6-dev`"
        )


def _opens(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    missing = missing_needs(gpu="--gpu" in sys.argv[1:])
    sys.stdout.writelines(f"{sentence}\n" for sentence in missing)
    sys.exit(1 if missing else 0)
