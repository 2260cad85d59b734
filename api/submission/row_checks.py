"""Check of the data's rows against the spec's rewards, before it is queued."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from api.limits.reward_checks import RewardChecks
from api.submission.data_check import DataFacts
from grpo.data.row_check import RowCheck, check_rows
from grpo.data.row_reader import Reading
from grpo.data.rows import RowError
from grpo.rewards.reward import Reward
from grpo.values.template import field_names
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactMissing


class RowChecks:
    """Checks every row of small files; the worker checks others before training."""

    def __init__(
        self, rewards: Sequence[Reward], *, artifacts: Artifacts, checks: RewardChecks
    ) -> None:
        self._looking = [reward for reward in rewards if reward.checks_answer]
        self._artifacts = artifacts
        self._checks = checks

    def check(self, reading: Reading, facts: DataFacts) -> RowCheck | None:
        """Check a source; None: left to the worker, or known to be valid."""
        looking = self._looking
        if facts.stored is None or (not looking and _is_sound(reading, facts)):
            return None
        head = list(facts.rows())
        if len(head) == facts.num_rows and all(reward.cheap for reward in looking):
            return check_rows(head, reading, looking)
        try:
            with self._content(facts.stored) as path:
                return self._checks.rows_of(path, reading, looking)
        except (RowError, OSError, ArtifactMissing):
            return None

    @contextmanager
    def _content(self, key: str) -> Iterator[Path]:
        """The stored file on this machine."""
        if (path := self._artifacts.local(key)) is not None:
            yield path
            return
        with NamedTemporaryFile(prefix="duet-checked-") as copy:
            with self._artifacts.open(key) as stored:
                shutil.copyfileobj(stored, copy)
            copy.flush()
            yield Path(copy.name)


def _is_sound(reading: Reading, facts: DataFacts) -> bool:
    """Whether the named fields have a text in every row, according to the file's inspection."""
    if reading.messages is not None or reading.answer_after is not None:
        return False
    names = (*field_names(reading.prompt or ""), *field_names(reading.answer))
    return all(name in facts.fields and facts.fields[name] is None for name in names)
