"""Claim, sync, register, finish: the fence holds and nothing is counted twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import inspect, text

from store.errors import LeaseLost
from store.jobs import attempts, leases
from store.jobs.checkpoints import CheckpointRef
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, Failed, Stopped
from store.log.log import Entry
from store.states import Status, Wanted
from store.tables import Base
from tests.service.store.desk import LEASE_SECONDS, Desk, make_desk, metric
from tests.waiting import deadline


def test_a_claim_returns_the_job_and_is_recorded_in_its_log(desk: Desk):
    job_id = desk.submit(name="first", seed=7)
    claim = desk.claim()
    assert claim is not None
    assert (claim.job_id, claim.project_id, claim.attempt) == (job_id, desk.project_id, 1)
    assert (claim.resume, claim.wanted, claim.spec["seed"]) == (None, Wanted.RUN, 7)
    job = desk.job(job_id)
    assert (job.status, job.attempt, job.worker_id) == (Status.RUNNING, 1, desk.worker_id)
    assert job.started_at is not None
    said = [record.payload for record in desk.records(job_id, "status")]
    assert [payload["status"] for payload in said] == ["queued", "running"]
    assert (said[1]["attempt"], said[1]["resumed_from_step"]) == (1, None)
    assert desk.claim() is None


def test_two_concurrent_claims_never_return_the_same_job(desk: Desk):
    submitted = {desk.submit() for _ in range(20)}
    gate = threading.Barrier(4)

    def claim_all() -> list[Claim]:
        gate.wait(deadline(10))
        claims = []
        while claim := desk.claim():
            claims.append(claim)
        return claims

    with ThreadPoolExecutor(4) as pool:
        each = [future.result() for future in [pool.submit(claim_all) for _ in range(4)]]
    claimed = [claim.job_id for claims in each for claim in claims]
    assert len(claimed) == 20
    assert set(claimed) == submitted
    assert {claim.attempt for claims in each for claim in claims} == {1}


def test_the_queue_goes_by_the_least_busy_project_then_its_priorities_then_age(desk: Desk):
    busy, idle = desk, make_desk(desk.database, "idle")
    busy.running()
    old = busy.submit(name="old")
    young = idle.submit(name="young")
    urgent = busy.submit(name="urgent", resources={"priority": 5})
    claimed = [busy.claim() for _ in range(4)]
    assert [claim.job_id for claim in claimed if claim] == [young, urgent, old]
    assert claimed[3] is None


def test_a_worker_claims_only_jobs_that_it_can_run(desk: Desk):
    gpu = desk.submit(resources={"gpus": 1})
    other = desk.submit(resources={"queue": "other"})
    assert desk.claim() is None
    for wanted, claim in (
        (other, desk.claim(queues=["other"])),
        (gpu, desk.claim(num_gpus=1)),
    ):
        assert claim is not None
        assert claim.job_id == wanted


def fenced_writes(desk: Desk, claim: Claim) -> dict[str, Callable[[], object]]:
    def record_process() -> None:
        with desk.database.session() as session:
            leases.record_process(session, claim.job_id, claim.attempt, pid=1, process_started_at=1)

    return {
        "sync": lambda: desk.sync(claim, metric(9, 9)),
        "an empty sync": lambda: desk.sync(claim),
        "register": lambda: desk.save(claim, step=9, n=10),
        "record_process": record_process,
        "finish": lambda: desk.finish(claim, Stopped()),
    }


def test_a_fenced_attempt_can_write_nothing(desk: Desk):
    first = desk.running()
    desk.sync(first, metric(1, 1))
    desk.finish(first, Stopped())
    second = desk.claim()
    assert second is not None
    assert second.attempt == 2
    before = (desk.job(first.job_id), desk.records(first.job_id, superseded=True))
    for write in fenced_writes(desk, first).values():
        with pytest.raises(LeaseLost):
            write()
    after = (desk.job(first.job_id), desk.records(first.job_id, superseded=True))
    assert columns(before[0]) == columns(after[0])
    assert len(before[1]) == len(after[1])
    for write in fenced_writes(desk, second).values():
        write()


def test_a_job_that_ended_takes_no_more_writes(desk: Desk):
    claim = desk.running()
    desk.finish(claim, Failed({"code": "bad_data", "message": "no"}, retryable=False))
    for write in fenced_writes(desk, claim).values():
        with pytest.raises(LeaseLost):
            write()
    assert desk.job(claim.job_id).status is Status.FAILED
    assert desk.claim() is None


def test_a_finish_and_a_sync_at_once_leave_one_order(desk: Desk):
    """For either order of the row lock no record follows the attempt's end."""
    for _ in range(10):
        claim = desk.running()
        gate = threading.Barrier(2)

        def ship(claim: Claim = claim, gate: threading.Barrier = gate) -> bool:
            gate.wait(deadline(10))
            try:
                desk.sync(claim, metric(1, 1))
            except LeaseLost:
                return False
            return True

        def end(claim: Claim = claim, gate: threading.Barrier = gate) -> None:
            gate.wait(deadline(10))
            desk.finish(claim, Failed({"code": "x", "message": "x"}, retryable=False))

        with ThreadPoolExecutor(2) as pool:
            shipping, ending = pool.submit(ship), pool.submit(end)
            shipped = shipping.result()
            ending.result()
        kinds = [record.kind for record in desk.records(claim.job_id)]
        assert kinds == ["status", "status", *(["metric"] if shipped else []), "status"]


def test_records_that_are_sent_again_are_not_doubled(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1), metric(2, 2))
    desk.sync(claim, metric(1, 1), metric(2, 2))
    desk.sync(claim, metric(2, 2), metric(3, 3))
    assert [record.step for record in desk.records(claim.job_id, "metric")] == [1, 2, 3]
    assert [record.seq for record in desk.records(claim.job_id)] == [1, 2, 3, 4, 5]
    job = desk.job(claim.job_id)
    assert (job.last_seq, job.shipped) == (5, 3)


def test_the_next_attempt_counts_its_own_records_from_one(desk: Desk):
    first = desk.running()
    desk.sync(first, metric(1, 1), metric(2, 2))
    desk.finish(first, Stopped())
    second = desk.claim()
    assert second is not None
    desk.sync(second, metric(1, 1))
    every = desk.records(first.job_id, "metric", superseded=True)
    assert [(record.attempt, record.step) for record in every] == [(1, 1), (1, 2), (2, 1)]


def test_sync_keeps_the_jobs_summary(desk: Desk):
    claim = desk.running()
    desk.sync(
        claim,
        Entry(1, "phase", 0, metric(1, 1).at, {"phase": "training", "total_steps": 40}),
        metric(2, 1, reward=0.5, entropy=2.0),
        metric(3, 2, reward=0.75, loss=float("nan")),
        Entry(4, "eval", 2, metric(1, 1).at, {"eval/accuracy": 0.25}),
    )
    job = desk.job(claim.job_id)
    assert (job.phase, job.total_steps, job.step) == ("training", 40, 2)
    assert job.latest_metrics == {
        "reward": 0.75,
        "entropy": 2.0,
        "loss": None,
        "eval/accuracy": 0.25,
    }


def test_sync_extends_the_lease_and_returns_the_wanted_state(desk: Desk):
    claim = desk.running()
    with desk.database.session() as session:
        session.execute(text("update jobs set lease_expires_at = now()"))
    assert desk.sync(claim) is Wanted.RUN
    desk.cancel(claim.job_id)
    assert desk.sync(claim) is Wanted.CANCEL
    desk.cancel(claim.job_id, kill=True)
    assert desk.sync(claim) is Wanted.KILL
    with desk.database.session() as session:
        left = session.scalar(text("select extract(epoch from lease_expires_at - now()) from jobs"))
    assert LEASE_SECONDS - 30 < left <= LEASE_SECONDS


def test_a_checkpoint_is_registered_only_after_the_records_before_it(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1))
    with pytest.raises(ValueError, match="sync the records between them first"):
        desk.save(claim, step=2, n=3)
    desk.sync(claim, metric(2, 2))
    checkpoint = desk.save(claim, step=2, n=3)
    desk.sync(claim, metric(3, 3), metric(4, 3))
    record = desk.records(claim.job_id, "checkpoint")[0]
    assert (record.step, record.payload["step"], record.payload["final"]) == (2, 2, False)
    assert record.payload["id"] == f"ckpt_{checkpoint.id.hex}"
    # The notice is number 3: its place in the log is the checkpoint record's.
    assert [r.step for r in desk.records(claim.job_id, "metric")] == [1, 2, 3]


def test_registering_a_checkpoint_again_changes_nothing(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1))
    once = desk.save(claim, step=1, n=2)
    again = desk.save(claim, step=1, n=2)
    assert once.id == again.id
    assert len(desk.records(claim.job_id, "checkpoint")) == 1


def test_an_attempt_resumes_from_the_last_checkpoint(desk: Desk):
    first = desk.running()
    desk.sync(first, *(metric(n, n) for n in range(1, 5)))
    desk.save(first, step=2, n=3)
    last = desk.save(first, step=4, n=5)
    desk.sync(first, metric(6, 5, reward=9.0))
    desk.finish(first, Stopped())
    second = desk.claim()
    assert second is not None
    assert second.resume == CheckpointRef(last.id, 4, last.key)
    assert desk.attempt(second).resumed_from_step == 4
    job = desk.job(first.job_id)
    assert (job.step, job.latest_metrics) == (4, {"reward": 4.0})


def test_a_completion_without_a_final_checkpoint_is_a_failure(desk: Desk):
    claim = desk.running(resources={"max_failures": 1})
    desk.sync(claim, metric(1, 1))
    desk.save(claim, step=1, n=2)
    assert desk.finish(claim, Completed()) is Status.FAILED
    error = desk.job(claim.job_id).error
    assert error is not None
    assert error["code"] == "checkpoint_missing"


def test_a_completed_job_succeeded(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1))
    desk.save(claim, step=1, n=2, final=True)
    assert desk.finish(claim, Completed()) is Status.SUCCEEDED
    job = desk.job(claim.job_id)
    assert (job.status, job.lease_expires_at, job.worker_id) == (Status.SUCCEEDED, None, None)
    assert job.finished_at is not None
    assert desk.attempt(claim).outcome == "completed"


def test_the_process_of_a_lost_attempt_can_be_found_and_a_live_ones_cannot(desk: Desk):
    lost, live = desk.running(), desk.running()
    with desk.database.session() as session:
        for claim, pid in ((lost, 11), (live, 22)):
            leases.record_process(
                session, claim.job_id, claim.attempt, pid=pid, process_started_at=pid * 100
            )
        expired = text("update jobs set lease_expires_at = now() - interval '1 s' where id = :id")
        session.execute(expired, {"id": lost.job_id})
    with desk.database.session() as session:
        found = attempts.leftovers(session, host="host-a", boot_id="boot-1")
        assert attempts.leftovers(session, host="host-a", boot_id="boot-2") == []
        assert attempts.leftovers(session, host="host-b", boot_id="boot-1") == []
    assert found == [attempts.Leftover(lost.job_id, 1, 11, 1100)]


def columns(row: Base) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}
