"""A cancelled and retried job ends with the exact result."""

import pytest

from tests.faults.conftest import FAST, STEPS, Fleet, Unbroken, weights_sha256


@pytest.mark.nightly
def test_a_cancelled_and_retried_run_ends_with_the_weights_of_an_uninterrupted_one(
    fleet: Fleet, unbroken: Unbroken
):
    fleet.start_worker()
    first = fleet.submit(FAST)
    fleet.wait_until(lambda: fleet.checkpoints(first))
    fleet.cancel(first, kill=False)
    assert fleet.finished(first).status == "cancelled", fleet.logs()
    start = max(fleet.checkpoints(first), key=lambda checkpoint: checkpoint.step)
    assert 0 < start.step < STEPS

    again = fleet.retry(first)
    job = fleet.finished(again)
    assert job.status == "succeeded", fleet.logs()
    attempt, *_ = fleet.attempts(again)
    assert attempt.resumed_from_step == start.step

    records = fleet.records(again)
    told_by_trainer = [record for record in records if record.kind not in ("status", "phase")]
    assert (told_by_trainer[0].kind, told_by_trainer[0].step) == ("resumed", start.step)
    steps = [record.step for record in records if record.kind == "metric"]
    assert steps == list(range(start.step + 1, STEPS + 1))
    (final,) = [checkpoint for checkpoint in fleet.checkpoints(again) if checkpoint.final]
    assert weights_sha256(final.manifest) == unbroken.weights(FAST)
