"""The user's transitions, and a job's description."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import cast, func, select, update

from store import workers
from store.errors import Conflict, NotFound
from store.ids import new_id
from store.jobs import jobs, listing, queue_position
from store.jobs.outcomes import Completed, Failed, Lost, Outcome, Stopped
from store.states import Status, Wanted
from store.tables import Job
from tests.service.store.desk import Desk, make_desk, metric
from tests.waiting import deadline

CRASH = Failed({"code": "trainer_crashed", "message": "it died", "hint": "look"}, retryable=True)
HOPELESS = Failed({"code": "bad_data", "message": "no rows", "hint": "fix"}, retryable=False)
GONE = Lost({"code": "worker_lost", "message": "silence", "hint": "look"})


def test_a_submitted_job_waits_with_its_resolved_spec(desk: Desk):
    job = desk.job(desk.submit(name="mine", preset="16-grpo", labels={"team": "a"}))
    assert (job.status, job.wanted, job.status_reason) == (Status.QUEUED, Wanted.RUN, "submitted")
    assert (job.name, job.labels, job.queue, job.gpus) == ("mine", {"team": "a"}, "default", 0)
    assert job.spec["algorithm"]["group_size"] == 16
    assert (job.attempt, job.failures, job.last_seq, job.latest_metrics) == (0, 0, 1, {})


def test_another_projects_job_is_not_there(desk: Desk):
    job_id = desk.submit()
    other = make_desk(desk.database, "other")
    with pytest.raises(NotFound, match="there is no job job_"):
        other.job(job_id)
    with pytest.raises(NotFound):
        other.cancel(job_id)
    with desk.database.session() as session:
        assert listing.list_jobs(session, other.project_id, limit=10) == []


def test_a_queued_job_is_cancelled_at_once(desk: Desk):
    job_id = desk.submit()
    job = desk.cancel(job_id, reason="changed my mind")
    assert (job.status, job.status_reason) == (Status.CANCELLED, "changed my mind")
    assert job.finished_at is not None
    assert desk.claim() is None
    with pytest.raises(Conflict, match="there is nothing to cancel"):
        desk.cancel(job_id)


def test_a_running_job_is_only_wanted_to_end(desk: Desk):
    claim = desk.running()
    job = desk.cancel(claim.job_id, reason="enough")
    assert (job.status, job.wanted) == (Status.RUNNING, Wanted.CANCEL)
    assert desk.finish(claim, Stopped()) is Status.CANCELLED


def test_the_wanted_state_only_rises(desk: Desk):
    claim = desk.running()
    assert desk.cancel(claim.job_id, kill=True).wanted is Wanted.KILL
    assert desk.cancel(claim.job_id).wanted is Wanted.KILL
    said = desk.records(claim.job_id, "status")
    assert [record.payload.get("wanted") for record in said] == [None, None, "kill"]


def test_postgres_orders_wishes_as_python_lists_them(desk: Desk):
    with desk.database.session() as session:
        for low, lower in enumerate(Wanted):
            for higher in list(Wanted)[low:]:
                both = [cast(wanted, Job.wanted.type) for wanted in (higher, lower)]
                highest = func.greatest(*both, type_=Job.wanted.type)
                assert session.scalar(select(highest)) is higher


def test_concurrent_requests_end_at_the_highest(desk: Desk):
    claim = desk.running()
    gate = threading.Barrier(6)

    def wish(kill: bool) -> None:
        gate.wait(deadline(10))
        desk.cancel(claim.job_id, kill=kill)

    with ThreadPoolExecutor(6) as pool:
        for wishing in [pool.submit(wish, n == 2) for n in range(6)]:
            wishing.result()
    assert desk.job(claim.job_id).wanted is Wanted.KILL


def test_a_concurrent_claim_and_cancel_end_in_one_of_two_states(desk: Desk):
    for _ in range(10):
        job_id = desk.submit()
        gate = threading.Barrier(2)

        def cancel(job_id: UUID = job_id, gate: threading.Barrier = gate) -> None:
            gate.wait(deadline(10))
            desk.cancel(job_id)

        def claim(gate: threading.Barrier = gate) -> bool:
            gate.wait(deadline(10))
            return desk.claim() is not None

        with ThreadPoolExecutor(2) as pool:
            cancelling, claiming = pool.submit(cancel), pool.submit(claim)
            cancelling.result()
            claimed = claiming.result()
        job = desk.job(job_id)
        assert job.wanted is Wanted.CANCEL
        assert job.status is (Status.RUNNING if claimed else Status.CANCELLED)
        assert job.attempt == int(claimed)


@pytest.mark.parametrize(
    ("outcome", "name", "statuses"),
    [
        # ... the status when run, pause, cancel and kill are wanted
        (Completed(), "completed", "succeeded succeeded succeeded succeeded"),
        (Stopped(), "stopped", "queued paused cancelled cancelled"),
        (CRASH, "failed", "queued paused cancelled cancelled"),
        (GONE, "lost", "queued paused cancelled cancelled"),
        (HOPELESS, "failed", "failed failed cancelled cancelled"),
    ],
)
def test_the_end_of_an_attempt_moves_the_job(
    desk: Desk, outcome: Outcome, name: str, statuses: str
):
    for wanted, expected in zip(Wanted, map(Status, statuses.split()), strict=True):
        job_id = desk.submit(resources={"queue": wanted.value})
        claim = desk.claim(queues=[wanted.value])
        assert claim is not None
        desk.save(claim, step=1, n=1, final=True)
        with desk.database.session() as session:
            session.execute(update(Job).where(Job.id == job_id).values(wanted=wanted))
        moved = desk.finish(claim, outcome)
        job, attempt = desk.job(job_id), desk.attempt(claim)
        assert moved is job.status is expected
        assert (attempt.outcome, attempt.exit_code) == (name, 0)
        assert (job.error is not None) == (expected is Status.FAILED)
        assert (job.finished_at is not None) == expected.terminal
        assert (job.lease_expires_at, job.worker_id, job.phase) == (None, None, None)
        last = desk.records(job_id, "status")[-1]
        assert last.payload == {"status": expected, "reason": job.status_reason, "attempt": 1}


def test_a_failed_job_shows_the_reason(desk: Desk):
    claim = desk.running()
    desk.finish(claim, HOPELESS, log_tail="last words \0")
    assert desk.job(claim.job_id).error == {
        "code": "bad_data",
        "message": "no rows",
        "hint": "fix",
        "log_tail": "last words ␀",
    }


def test_too_many_failures_in_a_row_end_the_job(desk: Desk):
    first = desk.running(resources={"max_failures": 2})
    assert desk.finish(first, CRASH) is Status.QUEUED
    second = desk.claim()
    assert second is not None
    assert desk.finish(second, GONE) is Status.FAILED
    job = desk.job(first.job_id)
    assert (job.failures, job.attempt) == (2, 2)
    assert job.error is not None
    assert job.error["code"] == "worker_lost"
    assert job.status_reason == "failure 2 of 2: silence"


def test_a_new_checkpoint_sets_the_failures_back(desk: Desk):
    claim = desk.running(resources={"max_failures": 2})
    desk.finish(claim, CRASH)
    for _ in range(3):
        claim = desk.claim()
        assert claim is not None
        desk.sync(claim, metric(1, claim.attempt))
        desk.save(claim, step=claim.attempt, n=2)
        assert desk.job(claim.job_id).failures == 0
        assert desk.finish(claim, CRASH) is Status.QUEUED
    assert desk.job(claim.job_id).attempt == 4


def test_stops_of_a_worker_count_as_nothing(desk: Desk):
    claim = desk.running(resources={"max_failures": 1})
    for _ in range(3):
        assert desk.finish(claim, Stopped()) is Status.QUEUED
        again = desk.claim()
        assert again is not None
        claim = again
    assert desk.job(claim.job_id).failures == 0


def test_an_attempt_that_ends_early_keeps_the_jobs_queue_position(desk: Desk):
    claim = desk.running()
    desk.submit(name="later")
    desk.finish(claim, Stopped())
    again = desk.claim()
    assert again is not None
    assert again.job_id == claim.job_id


def test_the_timeline_of_a_new_job_matches_its_log(desk: Desk):
    job_id = desk.submit()
    [record] = desk.records(job_id)
    with desk.database.session() as session:
        told = jobs.timelines(session, [desk.job(job_id)])[job_id]
    assert told == [jobs.StatusChange(Status.QUEUED, record.at, record.payload["reason"])]


def test_the_timeline_shows_each_change_with_its_reason(desk: Desk):
    claim = desk.running()
    desk.cancel(claim.job_id, reason="enough")
    desk.finish(claim, Stopped())
    with desk.database.session() as session:
        told = jobs.timelines(session, [desk.job(claim.job_id)])[claim.job_id]
    assert [(change.status, change.reason) for change in told[:1] + told[2:]] == [
        (Status.QUEUED, "submitted"),
        (Status.RUNNING, "enough"),
        (Status.CANCELLED, "cancel was requested"),
    ]
    assert told[1].reason.startswith("claimed by work_")
    assert [change.at for change in told] == sorted(change.at for change in told)


def test_a_job_that_is_queued_after_a_transaction_began_waits_since_then(desk: Desk):
    with desk.database.session() as session:
        began = session.scalar(select(func.now()))
        job_id = desk.submit()
        found = [jobs.get(session, desk.project_id, job_id)]
        waits = queue_position.of_jobs(session, found, jobs.timelines(session, found))[job_id]
    assert began is not None
    assert waits.since > began


def test_a_queued_job_shows_its_position_and_what_it_waits_for(desk: Desk):
    """One worker with one slot; the project of `busy` runs a job, that of `idle` none."""
    busy, idle = desk, make_desk(desk.database, "idle")
    older = busy.submit(name="older")

    def waits(job_id: UUID, of: Desk = busy) -> tuple[int | None, str]:
        said = of.waiting(job_id)
        return said.position, said.waiting_for

    assert waits(older) == (1, "a worker for queue 'default'")
    with desk.database.session() as session:
        workers.register(
            session,
            worker_id=busy.worker_id,
            host="host-a",
            boot_id="boot-1",
            pid=1,
            queues=["default"],
            num_gpus=0,
            slots=1,
        )
    assert waits(older) == (1, "a worker to claim it shortly")
    younger = busy.submit(name="younger")
    assert waits(younger) == (2, "other jobs to finish")
    assert busy.claim() is not None
    assert waits(younger) == (1, "other jobs to finish")
    assert waits(idle.submit(), of=idle) == (1, "other jobs to finish")
    assert waits(younger)[0] == 2
    assert waits(busy.submit(resources={"priority": 1}))[0] == 2
    assert waits(younger)[0] == 3
    gpu = busy.submit(resources={"gpus": 1})
    assert waits(gpu)[1] == "a worker with 1 GPU for queue 'default'"
    elsewhere = busy.submit(resources={"queue": "other"})
    assert waits(elsewhere) == (1, "a worker for queue 'other'")


def test_a_job_that_does_not_exist_is_not_found(desk: Desk):
    with pytest.raises(NotFound):
        desk.job(new_id())
