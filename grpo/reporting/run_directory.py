"""The folder of one attempt: empty at its start, except for files written by a worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpo.runtime.folder_lock import LOCK, holding
from grpo.spec.job import JobSpec

SPEC = "spec.json"
ALLOWED_BEFORE = {SPEC, "log.txt", "inputs", LOCK}  # written by a worker


class RunDirectoryError(ValueError):
    """The run directory cannot be used."""


@contextmanager
def own_run_directory(folder: Path, spec: JobSpec) -> Iterator[None]:
    """Prepare the folder, and lock it exclusively for this process.

    Raises:
        FolderInUse: another process holds the lock.
        RunDirectoryError: the folder already holds a run or other files.
    """
    if not (folder / LOCK).exists():
        _check_empty(folder)  # before a lock file is added to a foreign folder
    with holding(folder):
        prepare_run_directory(folder, spec)
        yield


def prepare_run_directory(folder: Path, spec: JobSpec) -> None:
    """Make the folder and write the resolved spec, if missing.

    Raises:
        RunDirectoryError: the folder already holds a run or other files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_empty(folder)
    if not (folder / SPEC).exists():
        write_spec(folder, spec)


def write_spec(folder: Path, spec: JobSpec) -> None:
    (folder / SPEC).write_text(spec.model_dump_json(indent=1), encoding="utf-8")


def _check_empty(folder: Path) -> None:
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    strange = sorted(present - ALLOWED_BEFORE)
    if strange:
        raise RunDirectoryError(f"{folder} is not empty: it holds {', '.join(strange[:5])}")
