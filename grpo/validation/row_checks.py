"""Check of the data's rows against the spec's rewards."""

from collections.abc import Callable, Sequence
from pathlib import Path

from grpo.data.inspection import memory_for
from grpo.data.row_check import RowCheck, check_file, check_rows
from grpo.data.row_reader import Reading
from grpo.rewards.reward import Reward
from grpo.runtime.bounded_process import TooCostly, call_bounded
from grpo.validation.facts import DataFacts
from grpo.values.template import field_names

CheckStored = Callable[[str, Reading, Sequence[Reward]], RowCheck | None]
"""Checks every row of the file that `DataFacts.stored` names; None: left to the worker."""


ROWS_SECONDS = 5.0  # a request's transaction may be open, and idle, for 10 s


class RowChecks:
    """Checks every row of small files; the worker checks others before training."""

    def __init__(self, rewards: Sequence[Reward], check_stored: CheckStored) -> None:
        self._looking = [reward for reward in rewards if reward.checks_answer]
        self._check_stored = check_stored

    def check(self, reading: Reading, facts: DataFacts) -> RowCheck | None:
        """Check a source; None: left to the worker, or known to be valid."""
        looking = self._looking
        if facts.stored is None or (not looking and _is_sound(reading, facts)):
            return None
        head = list(facts.rows())
        if len(head) == facts.num_rows and all(reward.cheap for reward in looking):
            return check_rows(head, reading, looking)
        return self._check_stored(facts.stored, reading, looking)


def check_apart(path: str, reading: Reading, rewards: Sequence[Reward]) -> RowCheck | None:
    """Check every row of a file in a new process; None: left to the worker, as it takes too long.

    Raises:
        RowError, OSError: the file cannot be read.
    """
    try:
        return call_bounded(
            check_file,
            path,
            reading,
            tuple(rewards),
            seconds=ROWS_SECONDS,
            memory_bytes=memory_for(Path(path)),
        )
    except (TooCostly, ImportError):
        return None


def _is_sound(reading: Reading, facts: DataFacts) -> bool:
    """Whether the named fields have a text in every row, according to the file's inspection."""
    if reading.messages is not None or reading.answer_after is not None:
        return False
    names = (*field_names(reading.prompt or ""), *field_names(reading.answer))
    return all(name in facts.fields and facts.fields[name] is None for name in names)
