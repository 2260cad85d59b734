"""Speed of this machine relative to the one for which the tests' deadlines were chosen."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np

ROUNDS = 5
REFERENCE_SECONDS = {"interpreter": 0.0055, "matrices": 0.0016, "process": 0.029}
"""CPU times on an x86-64 with AVX-512, the best of many rounds."""


@cache
def slowness() -> float:
    """Return how many times the reference machine's CPU time work takes here; 1 at least.

    Measured once a process, in a quarter of a second: the worst of a loop in the interpreter, a
    product of matrices (most of a training) and the start of a process.  CPU time and the best of
    a few rounds are the machine's own speed, whatever else runs on it now.
    """
    work = {"interpreter": _loop, "matrices": _multiply, "process": _start_process}
    return max(1.0, *(_best(work[name]) / REFERENCE_SECONDS[name] for name in work))


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began_at = _cpu_seconds()
        work()
        times.append(_cpu_seconds() - began_at)
    return min(times)


def _cpu_seconds() -> float:
    """Return the CPU time of this thread and of ended processes."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.thread_time() + ended.ru_utime + ended.ru_stime


def _loop() -> int:
    return sum(number * number % 7 for number in range(100_000))


def _multiply() -> np.ndarray:
    square = np.full((384, 384), 0.5, dtype=np.float32)
    return square @ square


def _start_process() -> None:
    subprocess.run([sys.executable, "-c", "import json"], check=True)
