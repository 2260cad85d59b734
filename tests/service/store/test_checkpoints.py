"""Checkpoints in the store: selection for a resume, and retention."""

from typing import Any

import pytest

from store.ids import encode
from store.jobs import checkpoint_retention, checkpoints, leases
from store.jobs.checkpoints import CheckpointRef
from store.jobs.claim import Claim
from store.jobs.outcomes import Completed, ExitInfo, Stopped
from store.log.log import Entry
from store.states import Status
from store.tables import Checkpoint
from tests.service.store.desk import AT, Desk, make_desk, metric

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


def test_damaged_checkpoints_are_skipped_one_by_one_without_a_failure(desk: Desk):
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
        "written; the run resumes from the previous one, of step 2",
        "the checkpoint of step 2 is damaged: model.safetensors is missing or not what was "
        "written; no earlier one exists, so the run restarts from step 0",
    ]


def test_the_end_needs_a_final_checkpoint_that_is_not_damaged(desk: Desk):
    first = desk.running()
    desk.save(first, step=4, n=1, final=True)
    desk.finish(first, Stopped())
    step_over(desk, claim_again(desk))
    again = claim_again(desk)
    assert desk.finish(again, Completed()) is Status.QUEUED
    desk.sync(again := claim_again(desk), metric(1, 4))
    desk.save(again, step=4, n=2, final=True)
    assert desk.finish(again, Completed()) is Status.SUCCEEDED


def test_a_job_that_starts_from_anothers_damaged_checkpoint_fails_with_the_reason(desk: Desk):
    owner = desk.running()
    source = desk.save(owner, step=4, n=1)
    claim = desk.running()
    damaged = CheckpointRef(source.id, source.step, source.key)
    with desk.database.session() as session:
        status = leases.step_over(
            session, claim.job_id, claim.attempt, damaged, DAMAGED, ExitInfo(code=1)
        )
    assert status is Status.FAILED
    job = desk.job(claim.job_id)
    assert job.error is not None
    assert job.error["code"] == "checkpoint_damaged"
    assert listed(desk, owner)[0].damaged_at is not None


def evaluated(n: int, step: int, accuracy: float | None) -> Entry:
    return Entry(n=n, kind="eval", step=step, at=AT, payload={"eval/accuracy": accuracy})


def steps(desk: Desk, claim: Claim) -> list[int]:
    return [checkpoint.step for checkpoint in listed(desk, claim)]


def remove_outdated(desk: Desk, claim: Claim) -> list[str]:
    with desk.database.session() as session:
        return checkpoint_retention.remove_outdated(session, claim.job_id)


def test_a_checkpoint_has_the_metric_of_its_step(desk: Desk):
    claim = desk.running()
    desk.sync(claim, metric(1, 1), evaluated(2, 1, 0.25), metric(3, 2), evaluated(4, 2, None))
    desk.save(claim, step=1, n=5)
    desk.save(claim, step=2, n=6)
    desk.save(claim, step=3, n=7)
    assert [checkpoint.metric for checkpoint in listed(desk, claim)] == [0.25, None, None]


def test_retention_follows_the_spec(desk: Desk):
    claim = desk.running(checkpoints={"keep_last": 2, "keep_best": True})
    desk.sync(claim, *(evaluated(n, n, accuracy) for n, accuracy in enumerate([0.2, 0.6, 0.4], 1)))
    keys = [desk.save(claim, step=step, n=3 + step).key for step in (1, 2, 3, 4)]
    assert remove_outdated(desk, claim) == [keys[0]]
    assert steps(desk, claim) == [2, 3, 4]
    assert remove_outdated(desk, claim) == []


@pytest.mark.parametrize(
    ("model", "ends", "kept"),
    [
        ({}, False, True),
        ({}, True, False),
        # An adapter is nothing without the model that it was trained on.
        ({"lora": {}}, True, True),
    ],
)
def test_a_checkpoint_that_another_job_begins_from_stays(
    desk: Desk, model: dict[str, Any], ends: bool, kept: bool
):
    claim = desk.running(checkpoints={"keep_last": 1})
    source = desk.save(claim, step=1, n=1)
    other = desk.submit(model={"source": encode("ckpt", source.id), **model})
    if ends:
        desk.cancel(other)
    desk.save(claim, step=2, n=2)
    desk.save(claim, step=3, n=3)
    remove_outdated(desk, claim)
    assert steps(desk, claim) == ([1, 3] if kept else [3])


def test_a_checkpoint_of_one_job_does_not_outdate_anothers(desk: Desk):
    first = desk.running(checkpoints={"keep_last": 1})
    second = make_desk(desk.database, "other").running(checkpoints={"keep_last": 1})
    desk.save(first, step=1, n=1)
    desk.save(second, step=2, n=1)
    assert remove_outdated(desk, second) == []
    assert steps(desk, first) == [1]


def test_an_evaluation_after_a_resume_belongs_to_the_checkpoint_that_was_resumed_from(desk: Desk):
    first = desk.running()
    desk.save(first, step=2, n=1)
    desk.save(first, step=4, n=2)
    desk.finish(first, Stopped())
    second = desk.claim_of(first.job_id)
    desk.sync(second, *(evaluated(n, 2 * n, n / 10) for n in (1, 2, 3)))
    desk.save(second, step=6, n=4)
    desk.save(second, step=8, n=5)
    desk.sync(second, evaluated(6, 8, 0.4))
    found = {item.step: item.metric for item in listed(desk, first)}
    # An evaluation at step 2 is not of what the first attempt had there.
    assert found == {2: None, 4: 0.2, 6: 0.3, 8: 0.4}
