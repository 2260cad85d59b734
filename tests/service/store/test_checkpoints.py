"""Checkpoints in the store: which are offered, which are kept."""

from store import checkpoints, leases
from store.leases import Claim, ExitInfo, Stopped
from store.states import Status
from store.tables import Checkpoint
from tests.service.store.desk import Desk, metric

DAMAGED = {
    "code": "checkpoint_damaged",
    "message": "model.safetensors is missing or not what was written",
    "hint": "Resume from another.",
}


def listed(desk: Desk, claim: Claim) -> list[Checkpoint]:
    with desk.database.session() as session:
        return checkpoints.list_checkpoints(session, claim.job_id)


def step_over(desk: Desk, claim: Claim) -> Status:
    assert claim.resume is not None
    with desk.database.session() as session:
        return leases.step_over(
            session, claim.job_id, claim.attempt, claim.resume, DAMAGED, ExitInfo(code=1)
        )


def claim_again(desk: Desk) -> Claim:
    claim = desk.claim()
    assert claim is not None
    return claim


def test_damaged_checkpoints_are_stepped_over_one_by_one_without_a_failure(desk: Desk):
    first = desk.running(resources={"max_failures": 1})
    desk.save(first, step=2, n=1)
    desk.save(first, step=4, n=2)
    desk.finish(first, Stopped())

    second = claim_again(desk)
    assert second.resume is not None
    assert second.resume.step == 4
    assert step_over(desk, second) is Status.QUEUED
    attempt = desk.attempt(second)
    assert attempt.outcome == "failed"
    assert attempt.error is not None
    assert attempt.error["code"] == "checkpoint_damaged"

    third = claim_again(desk)
    assert third.resume is not None
    assert third.resume.step == 2
    assert step_over(desk, third) is Status.QUEUED

    fourth = claim_again(desk)
    assert fourth.resume is None
    job = desk.job(first.job_id)
    assert (job.failures, job.attempt) == (0, 4)
    assert [checkpoint.damaged_at is None for checkpoint in listed(desk, first)] == [False, False]
    assert [record.payload["text"] for record in desk.records(first.job_id, "message")] == [
        "the checkpoint of step 4 is damaged: model.safetensors is missing or not what was "
        "written; the run goes on from the one before, of step 2",
        "the checkpoint of step 2 is damaged: model.safetensors is missing or not what was "
        "written; there is none before it, so the run starts anew",
    ]


def test_the_end_needs_a_final_checkpoint_that_is_not_damaged(desk: Desk):
    first = desk.running()
    desk.save(first, step=4, n=1, final=True)
    desk.finish(first, Stopped())
    step_over(desk, claim_again(desk))
    again = claim_again(desk)
    assert desk.finish(again, leases.Completed()) is Status.QUEUED
    desk.sync(again := claim_again(desk), metric(1, 4))
    desk.save(again, step=4, n=2, final=True)
    assert desk.finish(again, leases.Completed()) is Status.SUCCEEDED
