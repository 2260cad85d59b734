"""Preference pairs out of a run's rollouts: what was better and what was worse, ready for DPO.

In TRL's conversational preference format: `prompt` is the messages that the model was asked with,
`chosen` and `rejected` the assistant's message that follows.
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
    """The best against the worst completion of every contrasting group, step after step.

    A run that still goes on has the pairs of the steps whose rollouts are written.

    Raises:
        RunDirectoryError: the folder holds no run.
    """
    if not (run_directory / "records.jsonl").is_file():
        raise RunDirectoryError(f"{run_directory} holds no run: it has no records.jsonl")
    return _pairs_of(sorted((run_directory / "rollouts").glob("step-*.jsonl.zst")))


def pairs_in(rollouts: BinaryIO) -> Iterator[dict[str, Any]]:
    """The pairs of one step, out of its rollout file; one group at a time is in memory."""
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
    """Of equally good or bad completions, the first drawn."""
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
    """Rollouts of earlier versions have the prompt's text alone."""
    return row.get("messages") or [{"role": "user", "content": row["prompt"]}]
