"""The list of a project's jobs: filters, order and cost."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from store.errors import NotFound
from store.jobs import jobs, queue_position
from store.jobs.listing import ALL, Filter, Sort, list_jobs
from store.states import Status
from tests.service.store.blocks import blocks, queries
from tests.service.store.desk import Desk, make_desk
from tests.service.store.test_claims_at_scale import fill, run

PAGE = 21
FEW, MANY = 100, 100_000


def listed(desk: Desk, wanted: Filter = ALL, **asked: Any) -> list[UUID]:
    with desk.database.session() as session:
        found = list_jobs(session, desk.project_id, wanted, **{"limit": 10, **asked})
        return [job.id for job in found]


def test_jobs_are_picked_by_what_they_have(desk: Desk):
    first = desk.submit(name="One 100%", labels={"team": "a"})
    second = desk.submit(name="two", labels={"team": "b", "x": "a"})
    third = desk.submit(name="three", labels={"team": "a"}, model={"source": "a-lab/a-model"})
    make_desk(desk.database, "other").submit(name="two", labels={"team": "a"})
    desk.cancel(second)
    assert listed(desk) == [third, second, first]
    assert listed(desk, Filter([Status.CANCELLED, Status.FAILED])) == [second]
    assert listed(desk, Filter([Status.CANCELLED, Status.QUEUED])) == [third, second, first]
    assert listed(desk, Filter(labels={"team": "a"})) == [third, first]
    assert listed(desk, Filter(labels={"team": "b", "x": "b"})) == []
    assert listed(desk, Filter(model="a-lab/a-model")) == [third]
    assert listed(desk, Filter(text="T")) == [third, second]
    assert listed(desk, Filter(text="0%")) == [first]
    assert listed(desk, Filter(text="_")) == []
    every = Filter([Status.QUEUED], {"team": "a"}, model="tiny-arithmetic", text="o")
    assert listed(desk, every) == [first]


@pytest.mark.parametrize(
    ("sort", "names"),
    [("-created_at", "abca"), ("created_at", "acba"), ("-name", "cbaa"), ("name", "aabc")],
)
@pytest.mark.parametrize("statuses", [None, [Status.QUEUED], [Status.QUEUED, Status.PAUSED]])
def test_pages_have_every_job_once_in_each_order(
    desk: Desk, sort: Sort, names: str, statuses: Sequence[Status] | None
):
    made = {desk.submit(name=name): name for name in "acba"}
    whole = listed(desk, Filter(statuses), sort=sort)
    assert "".join(made[job_id] for job_id in whole) == names
    after, pages = None, []
    while page := listed(desk, Filter(statuses), sort=sort, after=after, limit=1):
        pages += page
        after = page[-1]
    assert pages == whole
    assert sorted(pages) == sorted(made)


def test_a_page_continues_after_a_deleted_job_but_not_in_name_order(desk: Desk):
    older, gone = desk.submit(), desk.submit()
    desk.cancel(gone)
    desk.delete(gone)
    assert listed(desk, after=gone) == [older]
    with pytest.raises(NotFound):
        listed(desk, after=gone, sort="name")


def test_queue_positions_are_counted_up_to_a_limit(desk: Desk):
    desk.submit()
    fill(desk, queue_position.PLACES - 2)
    last, beyond = desk.submit(), desk.submit()
    assert desk.waiting(last).position == queue_position.PLACES
    assert desk.waiting(beyond).position is None
    assert desk.waiting(desk.submit(resources={"priority": 9})).position == 1


def test_a_page_of_jobs_takes_as_many_queries_as_one_job(desk: Desk):
    for _ in range(3):
        desk.submit()
    with desk.database.session() as session:
        num_queries = [len(queries(session, reading(desk, limit=limit))) for limit in (1, 3)]
    assert num_queries[0] == num_queries[1] <= 5


# One of 20,000 has been cancelled, has a model and a label that no other has; all others wait.
RARE = "case when n % 20000 = 7 then {} else {} end"
COLUMNS = {
    "name": "'job ' || n",
    "status": RARE.format("'cancelled'", "'queued'"),
    "finished_at": RARE.format("now()", "null"),
    "spec": RARE.format("""'{"model": {"source": "a-lab/rare"}}'::jsonb""", "'{}'"),
    "labels": RARE.format("""'{"team": "rare"}'::jsonb""", """'{"team": "b"}'"""),
}
LOGS = """
    insert into records (job_id, seq, attempt, kind, payload, at)
    select id, 1, 0, 'status', '{"status": "queued", "reason": "submitted"}', now() from jobs
    on conflict do nothing"""
LISTS: dict[str, tuple[Filter, Sort]] = {
    "the newest": (ALL, "-created_at"),
    "the oldest": (ALL, "created_at"),
    "by name": (ALL, "-name"),
    "of a status": (Filter([Status.QUEUED]), "-created_at"),
    "of rare statuses": (Filter([Status.FAILED, Status.CANCELLED]), "-created_at"),
    "of a rare model": (Filter(model="a-lab/rare"), "-created_at"),
    "of a rare label": (Filter(labels={"team": "rare"}), "-created_at"),
    "of a text that many have": (Filter(text="JOB"), "-created_at"),
}


def test_a_page_costs_as_much_whether_100_or_100_000_jobs(desk: Desk):
    """The cost includes everything shown of the jobs, such as queue positions."""
    desk.submit(name="first")
    fill_up(desk, FEW)
    few = {name: blocks(desk, reading(desk, *asked)) for name, asked in LISTS.items()}
    fill_up(desk, MANY - FEW)
    many = {name: blocks(desk, reading(desk, *asked)) for name, asked in LISTS.items()}
    most = 3 * max(few.values())
    assert {name: num for name, num in many.items() if num > most} == {}


def fill_up(desk: Desk, num_jobs: int) -> None:
    fill(desk, num_jobs, **COLUMNS)
    run(desk.database, LOGS)
    run(desk.database, "vacuum analyze")


def reading(
    desk: Desk, wanted: Filter = ALL, sort: Sort = "-created_at", limit: int = PAGE
) -> Callable[[Session], object]:
    """Return everything that a page shows of its jobs."""

    def read(session: Session) -> object:
        found = list_jobs(session, desk.project_id, wanted, sort=sort, limit=limit)
        timelines = jobs.timelines(session, found)
        queued = [job for job in found if job.status is Status.QUEUED]
        return queue_position.of_jobs(session, queued, timelines)

    return read
