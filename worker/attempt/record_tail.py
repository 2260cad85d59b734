"""Reader of the records of a running trainer."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from store.log.log import Entry

READ_BYTES = 2_000_000


class RecordTail:
    """Reads a growing records.jsonl from its beginning, whole lines only.

    A line without a line feed is still being written, or was when the trainer died.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self.at_end = True
        """Whether the last `read` reached the file's end at that time."""

    def read(self) -> list[Entry]:
        """Return the next records, at most about two megabytes; empty: all have been read.

        Raises:
            ValueError: a complete line is not a valid record.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                block = file.read(READ_BYTES)
                if block and b"\n" not in block:
                    block += file.readline()  # one record longer than a block
        except FileNotFoundError:
            return []
        self.at_end = len(block) < READ_BYTES
        whole = block[: block.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_entry(line) for line in whole.splitlines()]


def _entry(line: bytes) -> Entry:
    try:
        fields: dict[str, Any] = json.loads(line)
        return Entry(
            n=fields["n"],
            kind=fields["kind"],
            step=fields["step"],
            at=datetime.fromisoformat(fields["at"]),
            payload=fields["payload"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the trainer wrote an invalid record: {line[:200]!r}") from error
