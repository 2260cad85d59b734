"""Check of every row of a source as in the trainer: prompt, answer, rewards."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grpo.data.files import read_rows
from grpo.data.row_reader import Reading
from grpo.data.rows import Row, RowError
from grpo.data.unusable import UnusableCount, UnusableRows
from grpo.rewards.grading import check_answer
from grpo.rewards.reward import Case, Reward
from grpo.runtime.bounded_process import OutOfTime


@dataclass(frozen=True)
class RowCheck:
    """The unusable rows, and the first reason for each setting at fault."""

    rows: UnusableRows
    blamed: dict[str, str]


def check_files(
    files: Sequence[tuple[str, Reading]], rewards: Sequence[Reward], seconds: float
) -> list[RowCheck | None]:
    """Check every row of files, one file after another.

    None: a file that cannot be read, or that was not checked to its end within `seconds` in total.
    """
    until = time.monotonic() + seconds
    return [_check_file(path, reading, rewards, until=until) for path, reading in files]


def check_rows(rows: Iterable[Row], reading: Reading, rewards: Sequence[Reward]) -> RowCheck:
    """Check each row."""
    count, blamed = UnusableCount(), dict[str, str]()
    for row in rows:
        problems = list(_problems(row, reading, rewards))
        if problems:
            count.add(problems[0][1])
        else:
            count.add_usable()
        for setting, reason in problems:
            blamed.setdefault(setting, reason)
    return RowCheck(count.result(), blamed)


def _check_file(
    path: str, reading: Reading, rewards: Sequence[Reward], *, until: float
) -> RowCheck | None:
    try:
        return check_rows(_rows_until(path, until), reading, rewards)
    except (RowError, OSError, OutOfTime):
        return None


def _rows_until(path: str, until: float) -> Iterator[Row]:
    for row in read_rows(Path(path)):
        if time.monotonic() > until:
            raise OutOfTime
        yield row


def _problems(row: Row, reading: Reading, rewards: Sequence[Reward]) -> Iterator[tuple[str, str]]:
    """Yield each setting that fails at the row, with the reason."""
    try:
        reading.conversation(row)
    except RowError as error:
        yield "prompt" if reading.messages is None else "messages", str(error)
    try:
        reading.plain_answer(row)
    except RowError as error:
        yield "answer", str(error)
        return
    try:
        answer = reading.expected_answer(row)
    except RowError as error:
        yield "answer_after", str(error)
        return
    for reward in rewards:
        if failed := check_answer(reward, Case("", 0, answer, row.fields)):
            yield "answer", f"{row.place}: the reward {reward.part!r}: {failed.cause}"
            return
