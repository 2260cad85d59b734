"""A job that ends before its last step says why, and is whole."""

from store.jobs.outcomes import Completed
from store.log.log import Entry
from store.states import Status
from tests.service.store.desk import AT, Desk, metric

REASON = "budget.max_rollouts: 192 of 150 drawn"


def test_a_job_that_used_up_its_budget_reports_it_and_has_no_steps_left(desk: Desk):
    claim = desk.running()
    desk.sync(
        claim, Entry(1, "phase", 0, AT, {"phase": "training", "total_steps": 6}), metric(2, 3)
    )
    desk.save(claim, step=3, n=3, final=True)
    assert desk.finish(claim, Completed(REASON)) is Status.SUCCEEDED
    job = desk.job(claim.job_id)
    assert (job.status_reason, job.step, job.total_steps) == (REASON, 3, 3)
    assert desk.records(claim.job_id, "status")[-1].payload["reason"] == REASON
