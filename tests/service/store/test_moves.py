"""Pause, resume and changes, alone and concurrent with the end of an attempt."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.access import projects
from store.errors import Conflict, LeaseLost, NotFound, QuotaExceeded
from store.jobs.outcomes import Completed, Stopped
from store.states import Status, Wanted
from tests.service.store.desk import Desk, make_desk
from tests.waiting import deadline


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Return the result or error of each action; all start together on separate connections."""
    gate = threading.Barrier(len(acts))

    def act(run: Callable[[], object]) -> object:
        gate.wait(deadline(10))
        try:
            return run()
        except (Conflict, LeaseLost, NotFound) as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return [done.result() for done in [pool.submit(act, run) for run in acts]]


def test_a_queued_job_is_paused_at_once_and_resumed_after_the_queued_ones(desk: Desk):
    job_id = desk.submit(name="first")
    job = desk.pause(job_id, reason="lunch")
    assert (job.status, job.wanted, job.status_reason) == (Status.PAUSED, Wanted.PAUSE, "lunch")
    assert desk.claim() is None
    other = desk.submit(name="second")
    job = desk.resume(job_id, reason="back")
    assert (job.status, job.wanted, job.status_reason) == (Status.QUEUED, Wanted.RUN, "back")
    assert [claim.job_id for claim in (desk.claim(), desk.claim()) if claim] == [other, job_id]


def test_a_running_job_is_paused_by_its_worker_and_resumes_from_its_checkpoint(desk: Desk):
    claim = desk.running()
    job = desk.pause(claim.job_id)
    assert (job.status, job.wanted) == (Status.RUNNING, Wanted.PAUSE)
    assert job.status_reason.startswith("claimed by")
    assert desk.sync(claim) is Wanted.PAUSE
    desk.save(claim, step=3, n=1)
    assert desk.finish(claim, Stopped()) is Status.PAUSED
    desk.resume(claim.job_id)
    again = desk.claim()
    assert again is not None
    assert again.resume is not None
    assert (again.attempt, again.resume.step) == (2, 3)


def test_a_requested_pause_can_be_taken_back(desk: Desk):
    claim = desk.running()
    desk.pause(claim.job_id)
    job = desk.resume(claim.job_id)
    assert (job.status, job.wanted) == (Status.RUNNING, Wanted.RUN)
    assert desk.sync(claim) is Wanted.RUN
    # Its trainer had been told to stop already: no more is lost than its place at the worker.
    later = desk.submit()
    assert desk.finish(claim, Stopped()) is Status.QUEUED
    assert [claimed.job_id for claimed in (desk.claim(), desk.claim()) if claimed] == [
        claim.job_id,
        later,
    ]


def test_asking_again_changes_nothing(desk: Desk):
    claim = desk.running()
    queued = desk.submit()
    for job_id in (claim.job_id, queued):
        desk.resume(job_id)
        before = desk.pause(job_id).last_seq
        assert desk.pause(job_id).last_seq == before
        resumed = desk.resume(job_id)
        assert (resumed.wanted, resumed.last_seq) == (Wanted.RUN, before + 1)
        assert desk.resume(job_id).queued_at == resumed.queued_at
        assert desk.job(job_id).last_seq == before + 1


def test_each_request_has_a_record_with_its_reason(desk: Desk):
    claim = desk.running()
    desk.pause(claim.job_id, reason="lunch")
    desk.resume(claim.job_id, reason="back")
    said = [record.payload for record in desk.records(claim.job_id, "status")]
    assert said[2:] == [
        {"status": "running", "reason": "lunch", "wanted": "pause"},
        {"status": "running", "reason": "back", "wanted": "run"},
    ]


def test_an_ending_job_is_neither_paused_nor_resumed(desk: Desk):
    claim = desk.running()
    desk.cancel(claim.job_id)
    for move in (desk.pause, desk.resume):
        with pytest.raises(Conflict, match="is being cancelled"):
            move(claim.job_id)
    desk.finish(claim, Stopped())
    for move in (desk.pause, desk.resume):
        with pytest.raises(Conflict, match=r"has ended \(cancelled\)"):
            move(claim.job_id)
    assert desk.job(claim.job_id).wanted is Wanted.CANCEL


def test_a_paused_job_is_cancelled_at_once(desk: Desk):
    job_id = desk.submit()
    desk.pause(job_id)
    job = desk.cancel(job_id)
    assert (job.status, job.wanted) == (Status.CANCELLED, Wanted.CANCEL)


def test_another_projects_job_cannot_be_moved(desk: Desk):
    job_id = desk.submit()
    other = make_desk(desk.database, "other")
    for move in (other.pause, other.resume):
        with pytest.raises(NotFound):
            move(job_id)
    assert desk.job(job_id).wanted is Wanted.RUN


def test_a_concurrent_resume_and_end_of_attempt_leave_the_job_queued(desk: Desk):
    """For either order: the end sees `run` as wanted, or the resume sees a paused job."""
    for _ in range(10):
        claim = desk.running()
        desk.pause(claim.job_id)
        _, ended = at_once(
            lambda claim=claim: desk.resume(claim.job_id),
            lambda claim=claim: desk.finish(claim, Stopped()),
        )
        job = desk.job(claim.job_id)
        assert (job.status, job.wanted) == (Status.QUEUED, Wanted.RUN)
        assert ended in (Status.QUEUED, Status.PAUSED)
        assert desk.claim() is not None


def test_a_resume_and_a_completion_at_once_end_in_success(desk: Desk):
    for _ in range(10):
        claim = desk.running()
        desk.save(claim, step=1, n=1, final=True)
        desk.pause(claim.job_id)
        resumed, ended = at_once(
            lambda claim=claim: desk.resume(claim.job_id),
            lambda claim=claim: desk.finish(claim, Completed()),
        )
        job = desk.job(claim.job_id)
        assert ended is job.status is Status.SUCCEEDED
        assert job.wanted is (Wanted.PAUSE if isinstance(resumed, Conflict) else Wanted.RUN)


@pytest.mark.parametrize("running", [False, True])
def test_a_cancel_and_a_pause_at_once_end_in_a_cancel(desk: Desk, running: bool):
    for _ in range(10):
        claim = desk.running() if running else None
        job_id = claim.job_id if claim else desk.submit()
        at_once(lambda job_id=job_id: desk.cancel(job_id), lambda job_id=job_id: desk.pause(job_id))
        assert desk.job(job_id).wanted is Wanted.CANCEL
        if claim:
            desk.finish(claim, Stopped())
        assert desk.job(job_id).status is Status.CANCELLED


def test_a_pause_and_a_claim_at_once_end_in_one_of_two_ways(desk: Desk):
    for _ in range(10):
        job_id = desk.submit()
        _, claimed = at_once(lambda job_id=job_id: desk.pause(job_id), desk.claim)
        job = desk.job(job_id)
        assert job.wanted is Wanted.PAUSE
        assert job.status is (Status.RUNNING if claimed else Status.PAUSED)
        desk.cancel(job_id)


def test_a_changed_job_is_consistent_in_its_spec_and_its_log(desk: Desk):
    job_id = desk.submit(name="old", labels={"a": "1"}, resources={"max_failures": 7})
    job = desk.change(job_id, name="new", labels={"b": "2"}, priority=5)
    assert (job.name, job.labels, job.priority) == ("new", {"b": "2"}, 5)
    assert (job.spec["name"], job.spec["labels"]) == ("new", {"b": "2"})
    assert (job.spec["resources"]["priority"], job.spec["resources"]["max_failures"]) == (5, 7)
    (said,) = desk.records(job_id, "message")
    assert said.payload["text"] == "labels, name, priority changed by a test"
    assert desk.change(job_id, name="new", priority=5).last_seq == job.last_seq


def test_a_changed_priority_changes_the_order_of_claims(desk: Desk):
    first, second = desk.submit(), desk.submit()
    desk.change(second, priority=1)
    assert [claim.job_id for claim in (desk.claim(), desk.claim()) if claim] == [second, first]


def test_a_priority_changes_only_while_the_job_waits(desk: Desk):
    claim = desk.running()
    with pytest.raises(Conflict, match="is running: a priority orders the queue"):
        desk.change(claim.job_id, name="new", priority=5)
    assert desk.job(claim.job_id).name == "untitled"
    assert desk.change(claim.job_id, name="new", priority=0).name == "new"
    desk.pause(claim.job_id)
    desk.finish(claim, Stopped())
    assert desk.change(claim.job_id, priority=5).priority == 5
    desk.cancel(claim.job_id)
    with pytest.raises(Conflict, match="is cancelled"):
        desk.change(claim.job_id, priority=6)
    assert desk.change(claim.job_id, labels={"kept": "yes"}).labels == {"kept": "yes"}


def test_a_resume_counts_against_the_queue_limit_as_a_submission_does(desk: Desk):
    with desk.database.session() as session:
        projects.set_quota(session, "default", projects.Quota(max_running=None, max_queued=1))
    paused = desk.submit()
    desk.pause(paused)
    other = desk.submit()
    with pytest.raises(QuotaExceeded):
        desk.resume(paused)
    assert desk.job(paused).status is Status.PAUSED
    desk.cancel(other)
    assert desk.resume(paused).status is Status.QUEUED
