"""Check of the data's rows against the spec's rewards."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grpo.data.inspection import HEAD_ROWS, memory_for
from grpo.data.row_check import RowCheck, check_files, check_rows
from grpo.data.row_reader import Reading
from grpo.data.rows import Row
from grpo.rewards.reward import Reward
from grpo.runtime.bounded_process import TooCostly, call_bounded
from grpo.validation.facts import DataFacts
from grpo.validation.named_fields import NamedFields

SECONDS = 5.0
"""Time limit of a request's checks in separate processes."""
GRACE_SECONDS = 2.0
"""Grace period before a process that exceeds its time limit is killed."""
HERE_CHARACTERS = 1_000_000
"""Limit on rows and templates that are checked in the request's own thread."""


@dataclass(frozen=True)
class SourceRows:
    """A source's rows, and the settings for reading them."""

    facts: DataFacts
    reading: Reading
    named: tuple[NamedFields, ...]
    """The fields that the source's templates name."""

    @property
    def characters(self) -> int:
        """Upper bound on the length of the first rows and their templates."""
        templates = len(self.reading.prompt or "") + len(self.reading.answer)
        return self.facts.head_bytes + min(self.facts.num_rows, HEAD_ROWS) * templates

    @property
    def is_sound(self) -> bool:
        """Whether the file's inspection found text in the named fields of every row."""
        reading, fields = self.reading, self.facts.fields
        if reading.messages is not None or reading.answer_after is not None:
            return False
        paths = (path for named in self.named for path in named.paths())
        return all(path in fields and fields[path] is None for path in paths)


CheckStored = Callable[[Sequence[SourceRows], Sequence[Reward], float], list[RowCheck | None]]
"""Checks every row of files, named as in `DataFacts.stored`, within a time limit [s]; None: left to
the worker."""

_Key = tuple[str, Reading, bytes]


class RowChecks:
    """Row checks of one request, each run once: every row of small files.

    Checks that exceed the request's time are left to the worker, which checks every row before
    training.
    """

    def __init__(self, check_stored: CheckStored) -> None:
        self._check_stored = check_stored
        self._characters_left = HERE_CHARACTERS
        self._seconds_left = SECONDS
        self._found: dict[_Key, RowCheck | None] = {}

    def check(
        self, wanted: Sequence[SourceRows], rewards: Sequence[Reward]
    ) -> list[RowCheck | None]:
        """Check sources; None: left to the worker, or known to be valid."""
        looking = [reward for reward in rewards if reward.checks_answer]
        written = "".join(reward.model_dump_json() for reward in looking)
        digest = hashlib.sha256(written.encode()).digest()
        keys = [(each.facts.name, each.reading, digest) for each in wanted]
        new = {key: each for key, each in zip(keys, wanted, strict=True) if key not in self._found}
        self._found |= self._checked(new, looking)
        return [self._found[key] for key in keys]

    def first_rows(self, rows: SourceRows, *, passes: int = 1) -> Sequence[Row]:
        """Return the first rows, to be read `passes` times here; empty if that is too much work."""
        work = rows.characters * passes
        if work > self._characters_left:
            return ()
        self._characters_left -= work
        return rows.facts.rows()

    def _checked(
        self, wanted: Mapping[_Key, SourceRows], looking: Sequence[Reward]
    ) -> dict[_Key, RowCheck | None]:
        found: dict[_Key, RowCheck | None] = dict.fromkeys(wanted)
        left: dict[_Key, SourceRows] = {}
        for key, rows in wanted.items():
            if rows.facts.stored is None or (not looking and rows.is_sound):
                continue
            whole = self._whole(rows, looking)
            if whole is None:
                left[key] = rows
            else:
                found[key] = check_rows(whole, rows.reading, looking)
        return found | self._checked_apart(left, looking)

    def _whole(self, rows: SourceRows, looking: Sequence[Reward]) -> Sequence[Row] | None:
        """Return all rows of a source if they are few and cheap to check, else None."""
        few = rows.facts.num_rows <= HEAD_ROWS
        if not (few and all(reward.cheap for reward in looking)):
            return None
        head = self.first_rows(rows, passes=1 + len(looking))
        return head if len(head) == rows.facts.num_rows else None

    def _checked_apart(
        self, wanted: Mapping[_Key, SourceRows], looking: Sequence[Reward]
    ) -> dict[_Key, RowCheck | None]:
        """Check files, smallest first, within the rest of the request's time."""
        if not wanted or self._seconds_left <= 0:
            return {}
        keys = sorted(wanted, key=lambda key: wanted[key].facts.num_bytes)
        began = time.monotonic()
        checked = self._check_stored([wanted[key] for key in keys], looking, self._seconds_left)
        self._seconds_left -= time.monotonic() - began
        return dict(zip(keys, checked, strict=True))


def check_apart(
    files: Sequence[tuple[str, Reading]], rewards: Sequence[Reward], seconds: float
) -> list[RowCheck | None]:
    """Check every row of files in a new process.

    None: a file that cannot be read, or that was not checked in time; left to the worker.
    """
    if not files:
        return []
    try:
        return call_bounded(
            check_files,
            files,
            tuple(rewards),
            seconds,
            seconds=seconds + GRACE_SECONDS,
            memory_bytes=max(memory_for(Path(path)) for path, _ in files),
        )
    except (TooCostly, ImportError, OSError):
        return [None] * len(files)
