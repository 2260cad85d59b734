"""Preference pairs from a run's rollouts, ready for DPO.

In TRL's conversational preference format: `prompt` is the list of messages given to the model,
`chosen` and `rejected` each hold the assistant's message that follows.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from grpo.reporting.run_directory import RunDirectoryError

Row = Mapping[str, Any]
"""One completion of a rollout file: see `grpo.reporting.samples.rollout_rows`."""


def preference_pairs(run_directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the best and worst completion of every contrast, step by step.

    A run in progress yields the pairs of the steps whose rollouts are written.

    Raises:
        RunDirectoryError: the folder does not hold a run.
    """
    if not (run_directory / "records.jsonl").is_file():
        raise RunDirectoryError(f"{run_directory} is not a run directory: records.jsonl is missing")
    return _pairs_of(sorted((run_directory / "rollouts").glob("step-*.jsonl.zst")))


def pairs_in(rollouts: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the pairs of one step from its rollout file, with one group in memory at a time."""
    for _, group in groupby(_read_rows(rollouts), key=lambda row: row["group"]):
        rows = list(group)
        if rows[0]["outcome"] == "mixed":
            yield _pair(rows)


def _pairs_of(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with path.open("rb") as rollouts:
            yield from pairs_in(rollouts)


def _read_rows(rollouts: BinaryIO) -> Iterator[Row]:
    with zstandard.ZstdDecompressor().stream_reader(rollouts) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8"):
            yield json.loads(line)


def _pair(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a group's pair; among completions with equal rewards, the first drawn."""
    chosen = max(rows, key=lambda row: row["reward"])
    rejected = min(rows, key=lambda row: row["reward"])
    return {
        "prompt": _messages(chosen),
        "chosen": [{"role": "assistant", "content": chosen["text"]}],
        "rejected": [{"role": "assistant", "content": rejected["text"]}],
        "step": chosen["step"],
        "row": chosen["row"],
        "source": chosen["source"],
        "reward_chosen": chosen["reward"],
        "reward_rejected": rejected["reward"],
    }


def _messages(row: Row) -> list[dict[str, str]]:
    """Return a row's messages; rollouts of earlier versions have only the prompt's text."""
    return row.get("messages") or [{"role": "user", "content": row["prompt"]}]
