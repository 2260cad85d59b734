"""Deleting a job: what goes with it, and what keeps it."""

from typing import Any

import pytest
from sqlalchemy import func, select

from store.errors import Conflict, NotFound
from store.ids import encode
from store.jobs.outcomes import Failed
from store.tables import Attempt, Checkpoint, Job, Record
from tests.service.store.desk import Desk, make_desk, metric
from tests.service.store.test_moves import at_once

HOPELESS = Failed({"code": "bad_data", "message": "no rows", "hint": "fix"}, retryable=False)


def num_rows(desk: Desk) -> dict[str, int | None]:
    with desk.database.session() as session:
        return {
            table.__tablename__: session.scalar(select(func.count()).select_from(table))
            for table in (Job, Attempt, Record, Checkpoint)
        }


def test_an_ended_job_goes_with_all_that_hangs_on_it_and_nothing_else(desk: Desk):
    kept = desk.running()
    desk.save(kept, step=1, n=1)
    desk.finish(kept, HOPELESS)
    before = num_rows(desk)
    claim = desk.running()
    desk.sync(claim, metric(1, 1))
    desk.save(claim, step=1, n=2)
    desk.finish(claim, HOPELESS)
    again = desk.retry(claim.job_id)
    desk.cancel(again.id)
    desk.delete(claim.job_id)
    assert desk.job(again.id).retry_of is desk.job(again.id).start_checkpoint_id is None
    desk.delete(again.id)
    assert num_rows(desk) == before
    with pytest.raises(NotFound):
        desk.delete(claim.job_id)


def test_a_job_that_has_not_ended_is_not_deleted(desk: Desk):
    claim = desk.running()
    with pytest.raises(Conflict, match="is running: cancel it"):
        desk.delete(claim.job_id)
    queued = desk.submit()
    desk.pause(queued)
    with pytest.raises(Conflict, match="is paused: cancel it"):
        desk.delete(queued)
    desk.cancel(queued)
    with pytest.raises(NotFound):
        make_desk(desk.database, "other").delete(queued)
    desk.delete(queued)


def test_a_job_whose_checkpoint_a_live_retry_needs_stays(desk: Desk):
    first = desk.running()
    desk.save(first, step=4, n=1)
    desk.finish(first, HOPELESS)
    again = desk.retry(first.job_id)
    with pytest.raises(Conflict, match=f"job {encode('job', again.id)} needs its checkpoint"):
        desk.delete(first.job_id)
    desk.cancel(again.id)
    desk.delete(first.job_id)


@pytest.mark.parametrize(("model", "deletable"), [({}, True), ({"lora": {}}, False)])
def test_a_job_that_another_trains_on_stays(desk: Desk, model: dict[str, Any], deletable: bool):
    """Kept as long as that job lives; under an adapter permanently."""
    first = desk.running()
    saved = desk.save(first, step=4, n=1)
    desk.finish(first, HOPELESS)
    fork = desk.submit(model={"source": encode("ckpt", saved.id), **model})
    with pytest.raises(Conflict, match=f"job {encode('job', fork)} needs its checkpoint"):
        desk.delete(first.job_id)
    desk.cancel(fork)
    if not deletable:
        with pytest.raises(Conflict, match="if it trained an adapter"):
            desk.delete(first.job_id)
        desk.delete(fork)
    desk.delete(first.job_id)


def test_a_retry_and_a_delete_at_once_leave_no_retry_without_its_checkpoint(desk: Desk):
    for _ in range(8):
        first = desk.running()
        desk.save(first, step=4, n=1)
        desk.finish(first, HOPELESS)
        job_id = first.job_id
        again, deleted = at_once(
            lambda job_id=job_id: desk.retry(job_id), lambda job_id=job_id: desk.delete(job_id)
        )
        if isinstance(again, Job):
            assert isinstance(deleted, Conflict)
            assert desk.claim_of(again.id).resume is not None
        else:
            assert isinstance(again, NotFound)
            assert deleted is None
