"""Check of every row of a stored file."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from api.limits.reward_checks import RewardChecks
from grpo.data.row_check import RowCheck
from grpo.data.row_reader import Reading
from grpo.data.rows import RowError
from grpo.rewards.reward import Reward
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactMissing


@dataclass(frozen=True)
class StoredRows:
    """Checks the rows of files in the artifact store."""

    artifacts: Artifacts
    checks: RewardChecks

    def check(self, key: str, reading: Reading, rewards: Sequence[Reward]) -> RowCheck | None:
        """Check a file's rows; None: left to the worker."""
        try:
            with self._content(key) as path:
                return self.checks.rows_of(path, reading, rewards)
        except (RowError, OSError, ArtifactMissing):
            return None

    @contextmanager
    def _content(self, key: str) -> Iterator[Path]:
        """The stored file on this machine."""
        if (path := self.artifacts.local(key)) is not None:
            yield path
            return
        with NamedTemporaryFile(prefix="duet-checked-") as copy:
            with self.artifacts.open(key) as stored:
                shutil.copyfileobj(stored, copy)
            copy.flush()
            yield Path(copy.name)
