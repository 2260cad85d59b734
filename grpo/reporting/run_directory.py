"""The folder of one attempt: empty at its start, but for what a worker may have put there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grpo.runtime.folder_lock import LOCK, holding
from grpo.spec.job import JobSpec

ALLOWED_BEFORE = {"spec.json", "log.txt", "inputs", LOCK}  # a worker may have put them there


class RunDirectoryError(ValueError):
    """The run directory cannot be used."""


@contextmanager
def own_run_directory(folder: Path, spec: JobSpec) -> Iterator[None]:
    """Prepare the folder, and hold it as the one process that writes into it.

    Raises:
        FolderInUse: another process does.
        RunDirectoryError: the folder already holds a run, or something else.
    """
    if not (folder / LOCK).exists():
        _check_empty(folder)  # and leave a folder of something else as it is
    with holding(folder):
        prepare_run_directory(folder, spec)
        yield


def prepare_run_directory(folder: Path, spec: JobSpec) -> None:
    """Make the folder where it is missing, and write the resolved spec where that is.

    Raises:
        RunDirectoryError: the folder already holds a run, or something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_empty(folder)
    path = folder / "spec.json"
    if not path.exists():
        path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")


def _check_empty(folder: Path) -> None:
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    strange = sorted(present - ALLOWED_BEFORE)
    if strange:
        raise RunDirectoryError(f"{folder} is not empty: it holds {', '.join(strange[:5])}")
