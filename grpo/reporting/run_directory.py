"""The folder of one attempt: empty at its start, but for what a worker may have put there."""

from pathlib import Path

from grpo.spec.job import JobSpec

ALLOWED_BEFORE = {"spec.json", "log.txt", "inputs"}  # what a worker may have put there


class RunDirectoryError(ValueError):
    """The run directory cannot be used."""


def prepare_run_directory(folder: Path, spec: JobSpec) -> None:
    """Make the folder where it is missing, and write the resolved spec where that is.

    Raises:
        RunDirectoryError: the folder already holds a run, or something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    strange = sorted({path.name for path in folder.iterdir()} - ALLOWED_BEFORE)
    if strange:
        raise RunDirectoryError(f"{folder} is not empty: it holds {', '.join(strange[:5])}")
    path = folder / "spec.json"
    if not path.exists():
        path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
