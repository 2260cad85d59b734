"""Check of every row of stored files."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from api.limits.project_slots import ProjectSlots
from grpo.data.row_check import RowCheck
from grpo.rewards.reward import Reward
from grpo.validation.facts import DataFacts
from grpo.validation.row_checks import SourceRows, check_apart
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactMissing

FETCHED_BYTES = 64 << 20
"""Limit of what a request fetches at a time from an artifact store that is not local."""
WAIT_SECONDS = 1.0
"""Wait for a free slot, in a thread of the shared pool."""
AT_ONCE = 2
"""Concurrent processes: each keeps a core busy."""


@dataclass(frozen=True)
class StoredRows:
    """Checks the rows of a project's files in the artifact store."""

    artifacts: Artifacts
    slots: ProjectSlots
    project_id: UUID

    def check(
        self, wanted: Sequence[SourceRows], rewards: Sequence[Reward], seconds: float
    ) -> list[RowCheck | None]:
        """Check files, all in one process; None: left to the worker."""
        until = time.monotonic() + seconds
        with (
            self.slots.take(self.project_id, wait_seconds=WAIT_SECONDS) as is_taken,
            TemporaryDirectory(prefix="duet-checked-") as folder,
        ):
            copies = _Copies(self.artifacts, Path(folder), until)
            paths = [copies.path(each.facts) if is_taken else None for each in wanted]
            found = [
                (str(path), each.reading)
                for path, each in zip(paths, wanted, strict=True)
                if path is not None
            ]
            left = max(until - time.monotonic(), 0)
            checked = iter(check_apart(found, rewards, left))
            return [None if path is None else next(checked) for path in paths]


@dataclass
class _Copies:
    """Stored files on this machine, fetched into a folder unless the store is local."""

    artifacts: Artifacts
    folder: Path
    until: float
    bytes_left: int = FETCHED_BYTES
    known: dict[str, Path | None] = field(default_factory=dict)

    def path(self, facts: DataFacts) -> Path | None:
        """A file's path; None: it is missing, or too much to fetch."""
        key = str(facts.stored)
        if (path := self.artifacts.local(key)) is not None:
            return path if path.is_file() else None
        if key not in self.known:
            self.known[key] = self._fetched(key, facts)
        return self.known[key]

    def _fetched(self, key: str, facts: DataFacts) -> Path | None:
        if facts.num_bytes > self.bytes_left or time.monotonic() > self.until:
            return None
        self.bytes_left -= facts.num_bytes
        copy = self.folder / facts.name
        try:
            with self.artifacts.open(key) as stored, copy.open("wb") as kept:
                shutil.copyfileobj(stored, kept)
        except (ArtifactMissing, OSError):
            return None
        return copy
