"""The log: one sequence without a gap, for any writers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from store.jobs import leases
from store.jobs.claim import Claim
from store.jobs.outcomes import Stopped
from store.log import curves as metrics
from store.log import log
from store.log.log import Entry
from store.tables import Record
from tests.service.store.desk import AT, LEASE_SECONDS, Desk, metric
from tests.waiting import deadline


def steps(records: list[Record]) -> list[tuple[int, int | None]]:
    return [(record.attempt, record.step) for record in records]


def test_seq_has_no_gap_and_appears_in_the_order_of_commits(desk: Desk):
    """Four writers append concurrently while a reader polls for new records, like a stream."""
    claim = desk.running()
    gate = threading.Barrier(5)
    per_writer = 25

    def write(writer: int) -> None:
        gate.wait(deadline(10))
        for n in range(per_writer):
            with desk.database.session() as session:
                notes = [log.Note("message", {"writer": writer, "n": n, "half": h}) for h in (1, 2)]
                log.append(session, claim.job_id, 1, notes)

    def follow() -> list[int]:
        gate.wait(deadline(10))
        seen: list[int] = []
        while len(seen) < 2 + 4 * 2 * per_writer:
            seen += [
                record.seq for record in desk.records(claim.job_id, after=max(seen, default=0))
            ]
        return seen

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(follow)
        for writing in [pool.submit(write, writer) for writer in range(4)]:
            writing.result()
        seen = following.result()
    assert seen == list(range(1, 2 + 4 * 2 * per_writer + 1))
    messages = [record.payload for record in desk.records(claim.job_id, "message")]
    for writer in range(4):
        mine = [(m["n"], m["half"]) for m in messages if m["writer"] == writer]
        assert mine == [(n, half) for n in range(per_writer) for half in (1, 2)]


def test_a_rolled_back_append_leaves_no_gap(desk: Desk):
    claim = desk.running()

    def append_and_fail() -> None:
        with desk.database.session() as session:
            log.append(session, claim.job_id, 1, [log.Note("message", {"text": "never"})])
            raise InterruptedError

    with pytest.raises(InterruptedError):
        append_and_fail()
    desk.sync(claim, metric(1, 1))
    assert [record.seq for record in desk.records(claim.job_id)] == [1, 2, 3]


def test_listeners_are_notified_after_the_commit(desk: Desk):
    with psycopg.connect(desk.database.listen_url, autocommit=True) as connection:
        claim = desk.running()
        connection.execute("listen duet_log")
        desk.sync(claim, metric(1, 1))
        notice = next(connection.notifies(timeout=deadline(10)))
    assert notice.payload == f"{claim.job_id.hex} 3"


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        ({"text": "NUL \0, half \ud83d, 😀"}, {"text": "NUL ␀, half \\ud83d, 😀"}),
        (
            {"reward": float("nan"), "loss": float("-inf"), "entropy": 1.5},
            {"reward": None, "loss": None, "entropy": 1.5, "nonfinite": ["reward", "loss"]},
        ),
        ({"text": "'; drop table records; --"}, {"text": "'; drop table records; --"}),
        ({"tiny": 5e-324, "whole": 10**300}, {"tiny": 5e-324, "whole": 10**300}),
    ],
)
def test_a_record_is_read_back_as_it_can_be_kept(
    desk: Desk, payload: dict[str, Any], kept: dict[str, Any]
):
    claim = desk.running()
    desk.sync(claim, Entry(1, "message", 1, AT, payload))
    assert desk.records(claim.job_id, "message")[0].payload == kept


@pytest.mark.parametrize(
    "refused",
    [
        Entry(2, "metric", 2**40, AT, {"reward": 1.0}),  # no step of ours
        Entry(2, "metric", 2, AT, {"reward": 10**5000}),
        Entry(2, "status", None, AT, {"status": "succeeded"}),
        Entry(2, "checkpoint", 2, AT, {"path": "checkpoints/step-2"}),
        Entry(2, "k\0", None, AT, {}),
    ],
    ids=["step", "number", "status", "checkpoint", "kind"],
)
def test_a_record_that_cannot_be_kept_becomes_a_message_and_holds_nothing_up(
    desk: Desk, refused: Entry
):
    claim = desk.running()
    desk.sync(claim, metric(1, 1), refused, metric(3, 3))
    assert steps(desk.records(claim.job_id, "metric")) == [(1, 1), (1, 3)]
    message = desk.records(claim.job_id, "message")[0]
    assert message.seq == 4
    assert "could not be stored" in message.payload["text"]
    job = desk.job(claim.job_id)
    assert (job.step, job.shipped, job.latest_metrics) == (3, 3, {"reward": 3.0})
    assert desk.records(claim.job_id, "status")[-1].payload["status"] == "running"


def test_superseding_over_a_fresh_start_and_a_resumed_attempt(desk: Desk):
    """Attempt 1 does steps 0-3; 2 starts over, saves at 2 and reaches 4; 3 resumes from 2."""
    first = desk.running()
    desk.sync(first, *(metric(step + 1, step, reward=1.0 + step / 10) for step in range(4)))
    desk.finish(first, Stopped())
    second = next_claim(desk)
    desk.sync(second, *(metric(step + 1, step, reward=2.0 + step / 10) for step in range(3)))
    desk.save(second, step=2, n=4)
    desk.sync(second, metric(5, 3, reward=2.3), metric(6, 4, reward=2.4))
    desk.finish(second, Stopped())
    third = next_claim(desk)
    desk.sync(third, Entry(1, "resumed", None, AT, {"from_step": 2}), metric(2, 3, reward=3.3))

    live = desk.records(first.job_id, "metric")
    assert steps(live) == [(2, 0), (2, 1), (2, 2), (3, 3)]
    every = desk.records(first.job_id, "metric", superseded=True)
    assert steps(every) == [*((1, step) for step in range(4)), *((2, s) for s in range(5)), (3, 3)]
    assert steps(desk.records(first.job_id, "checkpoint")) == [(2, 2)]
    # What has no step is history, and stays.
    assert [r.attempt for r in desk.records(first.job_id, "status")] == [0, 1, 1, 2, 2, 3]
    with desk.database.session() as session:
        curves = metrics.read_metrics(session, first.job_id, names=["reward"])
        starts = log.starts(session, first.job_id)
    assert curves == {"reward": [(0, 2.0), (1, 2.1), (2, 2.2), (3, 3.3)]}
    # The condition in SQL and the function that streams use agree on every record.
    assert starts == {1: None, 2: None, 3: 2}
    assert [log.is_live(r.attempt, r.step, starts) for r in every] == [
        r.seq in {record.seq for record in live} for r in every
    ]


def test_records_are_read_in_pages(desk: Desk):
    claim = desk.running()
    desk.sync(claim, *(metric(n, n) for n in range(1, 8)))
    with desk.database.session() as session:
        first = log.read(session, claim.job_id, kinds=["metric"], limit=4)
        rest = log.read(session, claim.job_id, kinds=["metric"], after=first[-1].seq, limit=4)
    assert [record.step for record in first + rest] == [1, 2, 3, 4, 5, 6, 7]


def test_only_requested_curves_are_returned(desk: Desk):
    claim = desk.running()
    entries = [metric(n, n, reward=float(n), loss=0.0) for n in range(1, 6)]
    desk.sync(claim, *entries, Entry(6, "eval", 5, AT, {"eval/accuracy": 0.5}))
    with desk.database.session() as session:
        some = metrics.read_metrics(session, claim.job_id, names=["reward", "no"], from_step=4)
        every = metrics.read_metrics(session, claim.job_id)
    assert some == {"reward": [(4, 4.0), (5, 5.0)], "no": []}
    assert set(every) == {"reward", "loss", "eval/accuracy"}
    assert every["eval/accuracy"] == [(5, 0.5)]


def test_a_transaction_that_fails_leaves_nothing_half_written(desk: Desk):
    claim = desk.running()

    def sync_and_fail() -> None:
        with desk.database.session() as session:
            leases.sync(session, claim.job_id, claim.attempt, [metric(1, 1)], LEASE_SECONDS)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        sync_and_fail()
    assert desk.records(claim.job_id, "metric") == []
    assert desk.job(claim.job_id).shipped == 0


def next_claim(desk: Desk) -> Claim:
    claim = desk.claim()
    assert claim is not None
    return claim
