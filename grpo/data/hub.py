"""Data sets of the Hugging Face hub, and folders laid out as those are."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from grpo.data.parquet import as_json
from grpo.data.rows import Row
from grpo.errors import RunError
from grpo.spec.data import DataSource

if TYPE_CHECKING:
    from datasets import Dataset

ANSWER_SECONDS = 10.0  # how long the hub may take to answer a question


def read_hub(source: DataSource, *, split: str) -> Iterator[Row]:
    """The rows of one split of a hub data set or of a data set's folder.

    What has been downloaded once is used again where the hub cannot be reached.

    Raises:
        RunError: `bad_data`, when it cannot be fetched, or has no such configuration or split.
    """
    folder = Path(source.source)
    if not folder.is_dir():
        folder = _fetch(source.source)
    rows = _load(folder, source, split=source.split or split)
    return (Row(number, as_json(fields), "row") for number, fields in enumerate(rows, start=1))


def _fetch(name: str) -> Path:
    """The data set's files: the hub's newest, or those downloaded before where it is silent."""
    from httpx2 import TransportError  # what huggingface_hub asks with, and lets through
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        # Asked first, since a download waits for a silent hub without end.
        HfApi().dataset_info(name, timeout=ANSWER_SECONDS)
        return Path(snapshot_download(name, repo_type="dataset"))
    except (TransportError, OfflineModeIsEnabled) as error:
        return _downloaded_before(name, error)
    except (OSError, ValueError) as error:
        raise _unreachable(name, error) from error


def _downloaded_before(name: str, silence: Exception) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
    except (OSError, ValueError):
        raise _unreachable(name, silence) from silence


def _unreachable(name: str, error: Exception) -> RunError:
    reason = str(error).split("\n", 1)[0]
    return RunError(
        "bad_data",
        f"the data set {name} cannot be fetched from the hub: {reason}",
        hint=f"Check its name and the network; or run `hf download --repo-type dataset {name} "
        "--local-dir DIR` where the hub can be reached, and name DIR, or upload its files.",
    )


def _load(folder: Path, source: DataSource, *, split: str) -> "Dataset":
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    try:
        return load_dataset(str(folder), source.config, split=split)
    except (DatasetsError, ValueError, OSError) as error:
        reason = ". ".join(str(error).splitlines()[:2])  # the third is an example in Python
        config = f", configuration {source.config}" if source.config else ""
        raise RunError(
            "bad_data",
            f"the data set {source.source}{config}, split {split} cannot be loaded: {reason}",
            hint="Set the source's config and split to ones that the data set has.",
        ) from error
