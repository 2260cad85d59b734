"""A retry of an ended job: its starting point and its requirements."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, text

from store.errors import Conflict, NotFound
from store.ids import new_id
from store.jobs import checkpoint_retention
from store.jobs.checkpoints import CheckpointRef
from store.jobs.claim import Claim
from store.jobs.leases import step_over
from store.jobs.outcomes import ExitInfo, Failed, Stopped
from store.states import Status
from store.tables import Checkpoint
from tests.service.store.desk import Desk, make_desk, metric
from tests.waiting import wait_until

HOPELESS = Failed({"code": "bad_data", "message": "no rows", "hint": "fix"}, retryable=False)
DAMAGED = {"code": "checkpoint_damaged", "message": "not what was written", "hint": "Another."}


def damaged(desk: Desk, claim: Claim) -> Status:
    """End an attempt with this state of its checkpoint."""
    assert claim.resume is not None
    with desk.database.session() as session:
        return step_over(
            session, claim.job_id, claim.attempt, claim.resume, DAMAGED, ExitInfo(code=1)
        )


def test_a_retry_resumes_from_the_ended_jobs_checkpoint_until_it_has_its_own(desk: Desk):
    first = desk.running(name="mine", labels={"a": "1"})
    desk.save(first, step=4, n=1)
    start = desk.save(first, step=8, n=2)
    desk.finish(first, HOPELESS)
    again = desk.retry(first.job_id)
    assert (again.status, again.attempt, again.failures) == (Status.QUEUED, 0, 0)
    assert (again.retry_of, again.start_checkpoint_id) == (first.job_id, start.id)
    assert again.spec == desk.job(first.job_id).spec
    assert (again.name, again.labels) == ("mine", {"a": "1"})
    assert again.status_reason.endswith("from step 8, by a test")

    second = desk.claim_of(again.id)
    assert second.resume == CheckpointRef(start.id, 8, start.key)
    assert desk.attempt(second).resumed_from_step == 8
    assert desk.job(again.id).step == 8
    desk.sync(second, metric(1, 9))
    own = desk.save(second, step=9, n=2)
    desk.finish(second, Stopped())
    third = desk.claim_of(again.id)
    assert third.resume == CheckpointRef(own.id, 9, own.key)

    assert damaged(desk, third) is Status.QUEUED
    assert desk.claim_of(again.id).resume == second.resume


def test_a_retry_without_a_checkpoint_starts_over(desk: Desk):
    first = desk.running()
    desk.finish(first, HOPELESS)
    again = desk.retry(first.job_id)
    assert (again.retry_of, again.start_checkpoint_id) == (first.job_id, None)
    assert again.status_reason.endswith("from the beginning, by a test")
    assert desk.claim_of(again.id).resume is None


def test_a_damaged_checkpoint_is_passed_over_by_a_retry_and_by_the_retry_of_that(desk: Desk):
    first = desk.running()
    earlier = desk.save(first, step=4, n=1)
    start = desk.save(first, step=8, n=2)
    desk.finish(first, HOPELESS)
    second = desk.claim_of(desk.retry(first.job_id).id)
    assert damaged(desk, second) is Status.FAILED  # to begin elsewhere is not what was asked for
    for job_id in (first.job_id, second.job_id):
        again = desk.retry(job_id)
        assert again.start_checkpoint_id == earlier.id != start.id
        desk.cancel(again.id)


def test_a_retry_whose_start_is_found_damaged_meanwhile_fails_and_does_not_begin_at_step_0(
    desk: Desk,
):
    first = desk.running()
    start = desk.save(first, step=4, n=1)
    desk.finish(first, HOPELESS)
    one, other = desk.retry(first.job_id), desk.retry(first.job_id)
    assert damaged(desk, desk.claim_of(one.id)) is Status.FAILED
    claim = desk.claim_of(other.id)
    assert claim.resume == CheckpointRef(start.id, 4, start.key)
    assert damaged(desk, claim) is Status.FAILED
    for job_id in (one.id, other.id):
        with pytest.raises(Conflict, match="has no earlier one: submit its spec as a new job"):
            desk.retry(job_id)


def test_a_retry_with_a_damaged_checkpoint_of_its_own_goes_back_to_its_start_or_fails(desk: Desk):
    first = desk.running()
    start = desk.save(first, step=4, n=1)
    desk.finish(first, HOPELESS)
    second = desk.claim_of(desk.retry(first.job_id).id)
    desk.save(second, step=6, n=1)
    desk.finish(second, Stopped())
    assert damaged(desk, desk.claim_of(second.job_id)) is Status.QUEUED
    third = desk.claim_of(second.job_id)
    assert third.resume == CheckpointRef(start.id, 4, start.key)
    assert damaged(desk, third) is Status.FAILED


def test_only_what_has_ended_is_retried(desk: Desk):
    claim = desk.running()
    queued = desk.submit()
    for job_id, status in ((claim.job_id, "running"), (queued, "queued")):
        with pytest.raises(Conflict, match=f"is {status}: only a job that has ended"):
            desk.retry(job_id)
    desk.pause(queued)
    with pytest.raises(Conflict, match="is paused"):
        desk.retry(queued)
    desk.cancel(queued)
    with pytest.raises(NotFound):
        make_desk(desk.database, "other").retry(queued)
    assert desk.retry(queued).status is Status.QUEUED


def test_a_checkpoint_stays_as_long_as_a_retry_begins_from_it(desk: Desk):
    first = desk.running(checkpoints={"keep_last": 1})
    start = desk.save(first, step=4, n=1)
    desk.finish(first, HOPELESS)
    again = desk.retry(first.job_id)
    with desk.database.session() as session:
        session.add(_later(start))
        session.flush()
        assert checkpoint_retention.remove_outdated(session, first.job_id) == []
    desk.cancel(again.id)
    with desk.database.session() as session:
        assert checkpoint_retention.remove_outdated(session, first.job_id) == [start.key]
    assert desk.job(again.id).start_checkpoint_id is None


def test_a_retry_waits_for_the_removal_of_a_checkpoint_and_takes_the_one_before(desk: Desk):
    first = desk.running()
    earlier = desk.save(first, step=4, n=1)
    last = desk.save(first, step=8, n=2)
    desk.finish(first, HOPELESS)
    with ThreadPoolExecutor(1) as pool:
        with desk.database.session() as removing:
            removing.execute(delete(Checkpoint).where(Checkpoint.id == last.id))
            retrying = pool.submit(desk.retry, first.job_id)
            wait_for_a_waiter(desk)
        assert retrying.result().start_checkpoint_id == earlier.id


def wait_for_a_waiter(desk: Desk) -> None:
    """Wait until a session waits for a lock."""
    waiting = text("select count(*) from pg_locks where not granted")
    with desk.database.session() as session:
        wait_until(lambda: session.scalar(waiting))


def _later(checkpoint: Checkpoint) -> Checkpoint:
    """A newer one of the same attempt."""
    return Checkpoint(
        id=new_id(),
        job_id=checkpoint.job_id,
        attempt=checkpoint.attempt,
        step=checkpoint.step + 4,
        key=f"{checkpoint.key}-later",
        manifest=checkpoint.manifest,
        bytes=checkpoint.bytes,
        final=False,
    )
