"""Data sets of the Hugging Face hub, and folders with the same layout.

Only files of the data set itself are opened, by our own readers: the `datasets` library would open
any path or URL that README.md names.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from grpo.data.csv_rows import read_csv
from grpo.data.dataset_folder import README, SUFFIXES, DatasetFolder
from grpo.data.files import read_rows
from grpo.data.jsonl import BYTE_ORDER_MARK
from grpo.data.rows import Row, RowError
from grpo.errors import RunError
from grpo.runtime.hub_failure import HubClientUnusable, check_hub_client, hub_reason
from grpo.runtime.plain_files import FolderRefused
from grpo.spec.data import DataSource

ANSWER_SECONDS = 10.0  # timeout of a request to the hub
FETCHED = [README, *(f"*{suffix}" for suffix in SUFFIXES)]


def read_hub(source: DataSource, *, split: str) -> Iterator[Row]:
    """Yield the rows of one split of a hub data set or of a data set's folder.

    A previous download is used where the hub cannot be reached.

    Raises:
        RunError: `bad_data`, when the data set cannot be fetched, does not have the configuration
            or split, or names files elsewhere.
        RowError: a row cannot be read.
    """
    folder = Path(source.source)
    if not folder.is_dir():
        folder = _fetch(source.source)
    return _rows(folder, _files(folder, source, split=source.split or split))


def _fetch(name: str) -> Path:
    """Return the data set's files: the newest, or a previous download where the hub is down."""
    from httpx2 import TransportError  # the client and the errors of huggingface_hub
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        check_hub_client()
        # Checked first, since a download from an unresponsive hub has no timeout.
        HfApi().dataset_info(name, timeout=ANSWER_SECONDS)
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=FETCHED))
    except (TransportError, OfflineModeIsEnabled, HubClientUnusable) as error:
        return _downloaded_before(name, error)
    except (OSError, ValueError) as error:
        raise _unreachable(name, error) from None


def _downloaded_before(name: str, silence: Exception) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, repo_type="dataset", allow_patterns=FETCHED, local_files_only=True
            )
        )
    except (OSError, ValueError):
        raise _unreachable(name, silence) from None


def _unreachable(name: str, error: Exception) -> RunError:
    return RunError(
        "bad_data",
        f"the data set {name} cannot be fetched from the hub: {hub_reason(error)}",
        hint=f"Check its name and the network; or run `hf download --repo-type dataset {name} "
        "--local-dir DIR` where the hub can be reached, and name DIR, or upload its files.",
    )


def _files(folder: Path, source: DataSource, *, split: str) -> list[Path]:
    try:
        return DatasetFolder.of(folder).files(source.config, split)
    except (FolderRefused, OSError) as error:
        config = f", configuration {source.config}" if source.config else ""
        raise RunError(
            "bad_data",
            f"the data set {source.source}{config}, split {split} cannot be loaded: {error}",
            hint="Set the source's config and split to existing ones; or upload its files.",
        ) from error


def _rows(folder: Path, files: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of all files, numbered continuously."""
    number = 0
    for path in files:
        try:
            for row in _rows_of(path):
                number += 1
                yield Row(number, row.fields, "row")
        except RowError as error:
            raise RowError(f"{path.relative_to(folder)}: {error}") from error


def _rows_of(path: Path) -> Iterator[Row]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from read_csv(file)
    elif path.suffix == ".json" and _is_array(path):
        yield from _array(path)
    else:
        yield from read_rows(path)


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1024).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"[")


def _array(path: Path) -> Iterator[Row]:
    """Yield the rows of a file that is one JSON array of objects."""
    try:
        rows = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RowError(f"the file is not JSON: {error}") from None
    for number, fields in enumerate(rows, start=1):
        if not isinstance(fields, dict):
            raise RowError(f"row {number} is not a JSON object")
        yield Row(number, fields, "row")
