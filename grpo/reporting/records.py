"""The run directory's log: records.jsonl, one JSON object per line, and each step's rollouts."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import zstandard

from grpo.reporting.metric_table import table_name

Kind = Literal["resumed", "phase", "metric", "eval", "sample", "checkpoint", "message", "end"]
Record = dict[str, Any]


class Recorder:
    """Appends records as whole lines, numbered from 1 without gaps."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime],
        listeners: Sequence[Callable[[Record], None]] = (),
    ) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._now = now
        self._listeners = listeners
        self._num_records = 0
        self._lock = Lock()

    def append(self, kind: Kind, payload: Mapping[str, Any], *, step: int | None = None) -> None:
        """Write one record through to the operating system.  Threads may append at the same time.

        Raises:
            KeyError: a metric is not in the metric table.
            OSError: nothing was written.
        """
        if kind in ("metric", "eval"):
            for name in payload:
                table_name(name)
        with self._lock:
            record = {
                "n": self._num_records + 1,
                "kind": kind,
                "step": step,
                "at": self._now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "payload": _finite(payload),
            }
            self._write_line(json.dumps(record, allow_nan=False).encode() + b"\n")
            self._num_records += 1
            for listener in self._listeners:
                listener(record)

    def _write_line(self, line: bytes) -> None:
        """Write a whole line or nothing: a full disk must not leave half a line."""
        size = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def close(self) -> None:
        os.fsync(self._file)
        os.close(self._file)


def _finite(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload with NaN and infinity, which JSON lacks, as null; `nonfinite` names
    them."""
    nonfinite = [
        name
        for name, value in payload.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]
    if not nonfinite:
        return dict(payload)
    return {**payload, **dict.fromkeys(nonfinite), "nonfinite": nonfinite}


def write_rollouts(folder: Path, *, step: int, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `step-000100.jsonl.zst`, visible only once complete."""
    folder.mkdir(exist_ok=True)
    path = folder / f"step-{step:06d}.jsonl.zst"
    unfinished = folder / f".{path.name}.tmp"
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    unfinished.write_bytes(zstandard.compress(lines.encode()))
    unfinished.rename(path)
