"""A draining worker."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from store import workers
from store.errors import Conflict, NotFound
from store.ids import new_id
from store.jobs import jobs, queue_position
from store.jobs.claim import Claim, claim_next
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until
from worker.claim_loop import ClaimLoop
from worker.slots import Slot, Slots


@pytest.fixture(autouse=True)
def enrolled(desk: Desk) -> None:
    desk.enrol()


def drain(desk: Desk, *, leave: bool = False) -> None:
    with desk.context.database.session() as session:
        workers.drain(session, desk.context.worker_id, leave=leave)


def undrain(desk: Desk) -> None:
    with desk.context.database.session() as session:
        workers.undrain(session, desk.context.worker_id)


def claimed(desk: Desk) -> Claim | None:
    context = desk.context
    with context.database.session() as session:
        return claim_next(
            session,
            worker_id=context.worker_id,
            host=context.host,
            queues=["default"],
            num_gpus=0,
            lease_seconds=60,
            boot_id=context.boot_id,
        )


def test_a_drained_worker_claims_nothing_before_it_has_read_its_row(desk: Desk):
    job_id = desk.submit("step complete")
    drain(desk)
    assert not desk.context.draining.is_set()
    assert claimed(desk) is None
    with desk.context.database.session() as session:
        found = [desk.job(job_id)]
        said = queue_position.of_jobs(session, found, jobs.timelines(session, found))[job_id]
    assert said.waiting_for == "a worker for queue 'default'"
    undrain(desk)
    claim = claimed(desk)
    assert claim is not None
    assert claim.job_id == job_id


def test_a_drain_waits_for_the_claim_in_progress(desk: Desk):
    """Otherwise a job could start after the drain was acknowledged."""
    with desk.context.database.session() as claim_loop:
        assert not workers.drains(claim_loop, desk.context.worker_id)
        with Session(desk.context.database.engine) as session:
            session.execute(text("set local lock_timeout = '200ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                workers.drain(session, desk.context.worker_id, leave=False)


def test_draining_twice_keeps_the_time_and_undraining_takes_all_back(desk: Desk):
    drain(desk)
    with desk.context.database.session() as session:
        since = workers.get(session, desk.context.worker_id).draining_at
    assert since is not None
    drain(desk, leave=True)
    with desk.context.database.session() as session:
        worker = workers.get(session, desk.context.worker_id)
    assert (worker.draining_at, worker.leaves_when_empty) == (since, True)
    undrain(desk)
    with desk.context.database.session() as session:
        worker = workers.get(session, desk.context.worker_id)
    assert (worker.draining_at, worker.leaves_when_empty) == (None, False)


def test_an_unknown_or_gone_worker_cannot_be_drained(desk: Desk):
    with desk.context.database.session() as session:
        workers.leave(session, desk.context.worker_id)
    with pytest.raises(Conflict, match="is gone"):
        drain(desk)
    with pytest.raises(NotFound), desk.context.database.session() as session:
        workers.drain(session, new_id(), leave=False)


def test_a_wake_up_that_comes_while_it_drains_waits_and_is_not_lost(desk: Desk):
    """Later wake-ups stay in Redis for other workers."""
    desk.context.draining.set()
    claim_loop = ClaimLoop(desk.context, Slots([Slot(())]))
    waking = threading.Thread(target=claim_loop.wake)
    waking.start()
    job_id = desk.submit("step complete")
    waking.join(1.5)  # longer than it waits between two looks
    assert waking.is_alive()
    assert desk.job(job_id).status == "queued"
    desk.context.draining.clear()
    wait_until(lambda: desk.job(job_id).status == "succeeded")
    waking.join(deadline(10))
    assert not waking.is_alive()
