"""Two concurrent transitions of one job, on two connections: the result is a serial one."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations_with_replacement
from uuid import UUID

import pytest
from sqlalchemy import text

from store.errors import StoreError
from store.jobs import attempts, checkpoints
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, Failed, Stopped
from store.jobs.reaper import reap
from tests.service.store.desk import LEASE_SECONDS, Desk, metric
from tests.service.store.invariants import broken
from tests.waiting import deadline

CRASH = Failed({"code": "trainer_crashed", "message": "it died", "hint": "look"}, retryable=True)
EXPIRE = "update jobs set lease_expires_at = now() - interval '1 s' where status = 'running'"


@dataclass(frozen=True)
class Subject:
    """A job under test; `claim` is None if it does not run."""

    desk: Desk
    job_id: UUID
    claim: Claim | None = None

    @property
    def held(self) -> Claim:
        assert self.claim is not None
        return self.claim


def run_reaper(subject: Subject) -> None:
    with subject.desk.database.session() as session:
        reap(session, outage_seconds=30, lease_seconds=LEASE_SECONDS)


MOVES: dict[str, Callable[[Subject], object]] = {
    "claim": lambda it: it.desk.claim(),
    "cancel": lambda it: it.desk.cancel(it.job_id),
    "kill": lambda it: it.desk.cancel(it.job_id, kill=True),
    "pause": lambda it: it.desk.pause(it.job_id),
    "resume": lambda it: it.desk.resume(it.job_id),
    "change": lambda it: it.desk.change(it.job_id, priority=3),
    "sync": lambda it: it.desk.sync(it.held, metric(1, 1), metric(2, 2)),
    "save": lambda it: it.desk.save(it.held, step=2, n=1, final=True),
    "stop": lambda it: it.desk.finish(it.held, Stopped()),
    "complete": lambda it: it.desk.finish(it.held, Completed()),
    "crash": lambda it: it.desk.finish(it.held, CRASH),
    "reap": run_reaper,
    "retry": lambda it: it.desk.retry(it.job_id),
    "delete": lambda it: it.desk.delete(it.job_id),
}
OF_STATUS = {
    "queued": ("claim", "cancel", "pause", "resume", "change", "delete"),
    "running": ("cancel", "kill", "pause", "sync", "save", "stop", "complete", "crash", "reap"),
    "pausing": ("resume", "cancel", "stop", "crash", "reap"),
    "paused": ("resume", "cancel", "pause", "change", "claim"),
    "ended": ("retry", "delete", "cancel", "change"),
}
PAIRS = [
    (status, *pair)
    for status, moves in OF_STATUS.items()
    for pair in combinations_with_replacement(moves, 2)
]


def subject_of(desk: Desk, status: str) -> Subject:
    job_id = desk.submit()
    if status in ("running", "pausing"):
        claim = desk.claim_of(job_id)
        with desk.database.session() as session:
            session.execute(text(EXPIRE))
        if status == "pausing":
            desk.pause(job_id)
        return Subject(desk, job_id, claim)
    if status == "paused":
        desk.pause(job_id)
    if status == "ended":
        desk.cancel(job_id)
    return Subject(desk, job_id)


def moved(subject: Subject, move: str) -> str:
    """Return the transition's outcome by name."""
    try:
        MOVES[move](subject)
    except StoreError as error:
        return type(error).__name__
    return "done"


def outcome(subject: Subject, pair: tuple[str, str], results: tuple[str, str]) -> tuple:
    """Result, once the calls that skip a locked row have been repeated."""
    for move in {"claim", "reap"} & set(pair):
        MOVES[move](subject)
    desk = subject.desk
    with desk.database.session() as session:
        facts = "status, wanted, attempt, failures, priority, last_seq"
        row = session.execute(text(f"select {facts} from jobs where id = '{subject.job_id}'"))
        again = f"select count(*) from jobs where retry_of = '{subject.job_id}'"
        return (
            results,
            row.one_or_none(),
            session.scalar(text(again)),
            [attempt.outcome for attempt in attempts.list_attempts(session, subject.job_id)],
            len(checkpoints.list_checkpoints(session, subject.job_id)),
        )


def clear(desk: Desk) -> None:
    """No job is left for the next claim."""
    with desk.database.session() as session:
        session.execute(text("delete from jobs"))


def one_after_another(desk: Desk, status: str, first: str, second: str) -> tuple[str, str, Subject]:
    subject = subject_of(desk, status)
    return moved(subject, first), moved(subject, second), subject


def at_once(desk: Desk, status: str, first: str, second: str) -> tuple[str, str, Subject]:
    subject, gate = subject_of(desk, status), threading.Barrier(2)

    def one(move: str) -> str:
        gate.wait(deadline(10))
        return moved(subject, move)

    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(one, (first, second))
    return a, b, subject


@pytest.mark.parametrize(("status", "first", "second"), PAIRS)
def test_two_concurrent_transitions_are_serializable(
    desk: Desk, status: str, first: str, second: str
):
    run_reaper(Subject(desk, desk.project_id))
    with desk.database.session() as session:
        session.execute(text("update sweeps set hold_until = now() - interval '1 s'"))
    pair = first, second
    allowed = []
    a, b, subject = one_after_another(desk, status, first, second)
    allowed.append(outcome(subject, pair, (a, b)))
    clear(desk)
    b, a, subject = one_after_another(desk, status, second, first)
    allowed.append(outcome(subject, pair, (a, b)))
    clear(desk)
    a, b, subject = at_once(desk, status, first, second)
    assert outcome(subject, pair, (a, b)) in allowed
    assert not broken(desk.database)
