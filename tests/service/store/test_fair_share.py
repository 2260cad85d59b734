"""Projects take turns: neither priorities nor many jobs of one hold up another's."""

import random
from uuid import UUID

import pytest

from store.access import projects
from store.access.projects import Quota
from store.jobs.outcomes import Failed
from tests.service.store.desk import Desk, make_desk

OVER = Failed({"code": "bad_data", "message": "no rows", "hint": "fix"}, retryable=False)
FIRST = {"priority": 100}


def weigh(desk: Desk, project: str, weight: int) -> None:
    with desk.database.session() as session:
        projects.set_quota(session, project, Quota(None, None, weight))


def take(desk: Desk) -> UUID:
    """Claim the next job, which keeps running."""
    claim = desk.claim()
    assert claim is not None
    return claim.job_id


def take_and_end(desk: Desk) -> UUID:
    claim = desk.claim()
    assert claim is not None
    desk.finish(claim, OVER)
    return claim.job_id


def test_a_thousandfold_priority_is_a_projects_own_affair(desk: Desk):
    other = make_desk(desk.database, "other")
    loud = [desk.submit(resources=FIRST) for _ in range(4)]
    quiet = other.submit(resources={"priority": -100})
    assert take(desk) == loud[0]
    assert other.waiting(quiet).position == 1
    assert take(desk) == quiet


def test_with_one_slot_projects_take_turns_for_any_number_of_earlier_jobs(desk: Desk):
    """With one slot all shares are equal when it is free: the last turn decides."""
    others = [make_desk(desk.database, name) for name in ("b", "c")]
    flood = [desk.submit(resources=FIRST) for _ in range(6)]
    late = [other.submit() for other in others for _ in range(2)]
    order = [take_and_end(desk) for _ in range(10)]
    assert order[:6] == [flood[0], late[0], late[2], flood[1], late[1], late[3]]
    assert order[6:] == flood[2:]


def test_a_project_that_comes_again_has_gathered_no_turns(desk: Desk):
    """A returning project waits for one turn of each other, not for all their turns meanwhile."""
    other = make_desk(desk.database, "other")
    first = desk.submit()
    assert take_and_end(desk) == first
    theirs = [other.submit() for _ in range(3)]
    assert take_and_end(desk) == theirs[0]
    mine = [desk.submit() for _ in range(2)]
    assert [take_and_end(desk) for _ in range(4)] == [mine[0], theirs[1], mine[1], theirs[2]]


def test_a_weight_is_a_share(desk: Desk):
    other = make_desk(desk.database, "other")
    weigh(desk, "other", 3)
    mine = {desk.submit(resources=FIRST) for _ in range(8)}
    theirs = [other.submit() for _ in range(8)]
    taken = [take(desk) for _ in range(8)]
    assert [job for job in taken if job not in mine] == theirs[:6]


def test_within_a_project_priority_decides_whatever_machine_a_job_needs(desk: Desk):
    plain = desk.submit(resources={"gpus": 0})
    urgent = desk.submit(resources={"gpus": 1, "priority": 5})
    for expected in (urgent, plain):
        claim = desk.claim(num_gpus=1)
        assert claim is not None
        assert claim.job_id == expected


@pytest.mark.parametrize("seed", range(4))
def test_queue_positions_are_the_order_in_which_jobs_are_claimed(desk: Desk, seed: int):
    """Holds as long as no job ends or arrives."""
    drawn = random.Random(seed)
    desks = [desk, *(make_desk(desk.database, name) for name in ("b", "c"))]
    for name in ("default", "b", "c"):
        weigh(desk, name, drawn.choice([1, 1, 2, 5]))
    for _ in range(drawn.randrange(4)):
        drawn.choice(desks).submit()
        take(desk)
    waiting = [
        (one, one.submit(resources={"priority": drawn.randrange(3)}))
        for one in drawn.choices(desks, k=9)
    ]
    places = {one.waiting(job).position: job for one, job in waiting}
    assert [places[n] for n in range(1, 10)] == [take(desk) for _ in range(9)]
