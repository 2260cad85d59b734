"""Verdict about a system after a campaign: every violation of its guarantees."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.ids import encode
from store.jobs import attempts, checkpoints
from store.log import log
from store.states import TERMINAL, Status
from store.tables import Attempt, Checkpoint, Job, Record
from tests.chaos.plan import Ending
from tests.faults.conftest import weights_sha256

Promise = Literal["lost", "doubled", "stuck", "inexact", "left over", "refused"]


@dataclass(frozen=True)
class Expected:
    """Required end of a job."""

    ending: Ending
    steps: int
    weights: str | None
    """Sha256 of the uninterrupted run's weights; None if the job does not end by itself."""


@dataclass(frozen=True)
class Violation:
    """A violated guarantee."""

    promise: Promise
    what: str


@dataclass(frozen=True)
class Seen:
    """A job's final state."""

    job: Job
    attempts: Sequence[Attempt]
    records: Sequence[Record]
    live: Sequence[Record]
    checkpoints: Sequence[Checkpoint]

    @property
    def name(self) -> str:
        return encode("job", self.job.id)

    @property
    def num_superseded(self) -> int:
        return len(self.records) - len(self.live)


def look(session: Session) -> list[Seen]:
    """Return all jobs, the oldest first."""
    return [
        Seen(
            job=job,
            attempts=attempts.list_attempts(session, job.id),
            records=log.read(session, job.id, limit=1_000_000, superseded=True),
            live=log.read(session, job.id, limit=1_000_000),
            checkpoints=checkpoints.list_checkpoints(session, job.id),
        )
        for job in session.scalars(select(Job).order_by(Job.id))
    ]


def judge(seen: Sequence[Seen], expected: Mapping[str, Expected]) -> Iterator[Violation]:
    """Yield violations in the tables.  `expected`: required ends of accepted jobs by id."""
    found = {one.name: one for one in seen}
    for name in expected.keys() - found.keys():
        yield Violation("lost", f"{name} was submitted but does not exist")
    for name in found.keys() - expected.keys():
        yield Violation("doubled", f"{name} exists but no user submitted it")
    for name in sorted(found.keys() & expected.keys()):
        one, wanted = found[name], expected[name]
        yield from _state(one, wanted)
        yield from _attempts(one)
        yield from _log(one, wanted)
        yield from _weights(one, wanted)


def judge_files(
    artifacts: Path, seen: Sequence[Seen], *, damaged: AbstractSet[str]
) -> Iterator[Violation]:
    """The artifact store's folder holds what the tables list, as it was written, and nothing else.

    `damaged`: the keys of checkpoints in which a fault has changed a byte.
    """
    listed = {checkpoint.key: checkpoint for one in seen for checkpoint in one.checkpoints}
    for key in sorted(listed.keys() - damaged):
        for file in listed[key].manifest["files"]:
            if not _is_whole(artifacts / key / file["path"], file["sha256"]):
                yield Violation("lost", f"{key}/{file['path']} is not what was stored")
    for key in stray(artifacts, listed.keys()):
        yield Violation("left over", f"{key} is in the artifact store but in no table")


def stray(artifacts: Path, keys: AbstractSet[str]) -> list[str]:
    """Yield other checkpoint folders, and interrupted copies."""
    root = artifacts / "jobs"
    folders = [path for path in root.glob("*/attempt-*/*") if path.name.startswith("step-")]
    broken_off = root.rglob(".*")
    found = {path.relative_to(artifacts).as_posix() for path in (*folders, *broken_off)}
    return sorted(found - keys)


def judge_runs(runs: Path) -> Iterator[Violation]:
    """An ended attempt keeps no checkpoint on the worker's disk."""
    for path in sorted(runs.glob("*/attempt-*/checkpoints")):
        yield Violation("left over", f"{path} fills the worker's disk")


def _state(one: Seen, wanted: Expected) -> Iterator[Violation]:
    job = one.job
    right = Status.SUCCEEDED if wanted.ending is Ending.SUCCEEDED else Status.CANCELLED
    if not job.status.terminal:
        yield Violation("stuck", f"{one.name} is {job.status}: {job.status_reason}")
    elif job.status is not right:
        yield Violation("lost", f"{one.name} is {job.status}, not {right}: {job.status_reason}")
    if job.lease_expires_at is not None:
        yield Violation("stuck", f"{one.name} holds a lease")
    said = [record.payload["status"] for record in one.records if record.kind == "status"]
    ends = [status for status in said if status in TERMINAL]
    if job.status.terminal and (ends != [job.status] or said[-1] != job.status):
        yield Violation("doubled", f"{one.name} ended as {ends}")


def _attempts(one: Seen) -> Iterator[Violation]:
    numbers = [attempt.number for attempt in one.attempts]
    if numbers != list(range(1, one.job.attempt + 1)):
        yield Violation("lost", f"{one.name} has the attempts {numbers}, not 1..{one.job.attempt}")
    for attempt in one.attempts:
        if attempt.ended_at is None:
            yield Violation("stuck", f"{one.name}: attempt {attempt.number} is open")


def _log(one: Seen, wanted: Expected) -> Iterator[Violation]:
    seqs = [record.seq for record in one.records]
    if seqs != list(range(1, one.job.last_seq + 1)):
        yield Violation("lost", f"{one.name}: its log has a gap or an end too early")
    steps = Counter(record.step or 0 for record in one.live if record.kind == "metric")
    doubled = [step for step, times in steps.items() if times > 1]
    if doubled:
        yield Violation("doubled", f"{one.name}: the steps {doubled} count more than once")
    last = wanted.steps if wanted.ending is Ending.SUCCEEDED else max(steps, default=0)
    missing = set(range(1, last + 1)) - steps.keys()
    if missing:
        yield Violation("lost", f"{one.name}: the steps {sorted(missing)} do not count")


def _weights(one: Seen, wanted: Expected) -> Iterator[Violation]:
    if wanted.weights is None or one.job.status is not Status.SUCCEEDED:
        return
    final = [checkpoint for checkpoint in one.checkpoints if checkpoint.final]
    steps = [checkpoint.step for checkpoint in final]
    if steps != [wanted.steps]:
        yield Violation("lost", f"{one.name} has final checkpoints at the steps {steps}")
    elif weights_sha256(final[0].manifest) != wanted.weights:
        yield Violation("inexact", f"{one.name} has other weights than the uninterrupted run")


def _is_whole(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
