"""How fast this machine is, beside the one on which the tests' deadlines were chosen."""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np

ROUNDS = 5
REFERENCE_SECONDS = {"interpreter": 0.0055, "matrices": 0.0016, "process": 0.025}
"""Best times on two cores of an x86-64 with AVX-512 that do nothing else."""


@cache
def slowness() -> float:
    """Return how many times as long as on the reference machine work takes here; 1 at least.

    Measured once a process, in a quarter of a second: the worst of a loop in the interpreter, a
    product of matrices (most of a training) and the start of a process.  The best of a few rounds
    counts: it is the machine's own speed, which other work on it hides only in part.
    """
    work = {"interpreter": _loop, "matrices": _multiply, "process": _start_process}
    return max(1.0, *(_best(work[name]) / REFERENCE_SECONDS[name] for name in work))


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began_at = time.perf_counter()
        work()
        times.append(time.perf_counter() - began_at)
    return min(times)


def _loop() -> int:
    return sum(number * number % 7 for number in range(100_000))


def _multiply() -> np.ndarray:
    square = np.full((384, 384), 0.5, dtype=np.float32)
    return square @ square


def _start_process() -> None:
    subprocess.run([sys.executable, "-c", "import json"], check=True)
