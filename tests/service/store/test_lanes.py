"""A claim reads only the lanes that its worker can run, for any number of others."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from duet.local.services.postgres import Postgres
from store.database.database import Database
from store.jobs import jobs, queue, queue_position
from tests.databases import copy_of
from tests.service.store.blocks import blocks
from tests.service.store.desk import Desk, make_desk
from tests.service.store.test_claims_at_scale import buffers, fill, run
from tests.service.store.test_fair_share import weigh

FEW, MANY = 50, 4000
LATER = {"not_before": "now() + interval '1 h'", "deferred": "true"}
OTHERS: dict[str, dict[str, str]] = {
    "queues": {"queue": "'queue-' || n"},
    "queues before and after the worker's": {
        "queue": "case n % 2 when 0 then 'd' else 'e' end || n"
    },
    "queues with GPUs": {"queue": "'queue-' || n / 2", "gpus": "n % 2"},
    "queues of jobs that start later": {"queue": "'queue-' || n", **LATER},
    "start times in the worker's queue": LATER,
    "queues of other projects": {
        "queue": "'queue-' || n / 8",
        "project_id": "(select id from projects order by id offset n % 8 limit 1)",
    },
    "jobs with a GPU in the worker's queue": {"gpus": "1"},
}


@pytest.fixture
def database_url(postgres_server: Postgres, template_database: str) -> Iterator[str]:
    """A separate database, in which no vacuum affects the counts."""
    with copy_of(postgres_server, template_database) as url:
        database = Database(url)
        run(database, "alter table jobs set (autovacuum_enabled = false)")
        database.close()
        yield url


def pages_of_jobs(database: Database) -> int:
    """Return the pages of jobs and their indexes touched by all transactions so far."""
    touched = "heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read"
    with database.session() as session:
        session.execute(text("select pg_stat_force_next_flush()"))
    with database.session() as session:
        query = text(f"select {touched} from pg_statio_user_tables where relname = 'jobs'")
        return session.scalars(query).one()


def pages_of_a_claim(desk: Desk) -> int:
    """Submit a job and claim it; return the pages touched by the claim's transaction."""
    job_id = desk.submit()
    before = pages_of_jobs(desk.database)
    with desk.database.session() as session:
        claim = desk.claim_in(session, queues=["default", "spare"])
        session.execute(text("select pg_stat_force_next_flush()"))
    assert claim is not None
    assert claim.job_id == job_id
    return pages_of_jobs(desk.database) - before


@pytest.mark.parametrize("others", OTHERS)
def test_thousands_of_lanes_of_others_cost_a_claim_nothing(desk: Desk, others: str):
    """Holds with the planner's statistics of few rows, and with new ones."""
    for n in range(7):
        make_desk(desk.database, f"project-{n}")
    desk.submit(resources={"queue": "elsewhere"})
    fill(desk, FEW, **OTHERS[others])
    run(desk.database, "analyze jobs")
    few = pages_of_a_claim(desk)
    fill(desk, MANY, **OTHERS[others])
    unaware = pages_of_a_claim(desk)
    run(desk.database, "analyze jobs")
    aware = pages_of_a_claim(desk)
    assert max(unaware, aware) <= 2 * few


def test_a_place_in_the_queue_costs_nothing_for_the_lanes_of_other_queues(desk: Desk):
    job_id = desk.submit()

    def read(session: Session) -> object:
        found = [jobs.get(session, desk.project_id, job_id)]
        return queue_position.of_jobs(session, found, jobs.timelines(session, found))

    run(desk.database, "analyze jobs")
    few = blocks(desk, read)
    fill(desk, MANY, queue="'queue-' || n")
    run(desk.database, "analyze jobs")
    assert blocks(desk, read) <= few + 16


def test_whether_a_job_is_due_costs_nothing_for_the_lanes_of_those_that_are_not(desk: Desk):
    desk.submit(resources={"queue": "elsewhere", "not_before": "2100-01-02T03:04:05Z"})
    fill(desk, MANY, queue="'queue-' || n")
    run(desk.database, "analyze jobs")
    with desk.database.session() as session:
        assert session.scalar(queue.any_claimable()) is False
        assert buffers(session, queue.any_claimable()) < 20


@dataclass(frozen=True)
class Worker:
    """Return the jobs that a worker can run."""

    queues: Sequence[str]
    num_gpus: int


@dataclass(frozen=True)
class Queued:
    """A job in the model of the queue; jobs are numbered in order of submission."""

    number: int
    job_id: UUID
    project: int
    queue: str
    gpus: int
    priority: int


def first(
    waiting: Sequence[Queued], running: Sequence[int], turns: Sequence[int], worker: Worker
) -> Queued | None:
    """Return the job for a worker: the best fitting one of each project, then by share."""
    fits = [job for job in waiting if job.queue in worker.queues and job.gpus <= worker.num_gpus]
    best: dict[int, Queued] = {}
    for job in sorted(fits, key=lambda job: (-job.priority, job.number)):
        best.setdefault(job.project, job)

    def turn(job: Queued) -> tuple[float, int, int]:
        return (running[job.project] + 1) / (job.project + 1), turns[job.project], job.number

    return min(best.values(), key=turn, default=None)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_lanes_there_are_each_worker_gets_the_job_whose_turn_is_next(
    desk: Desk, seed: int
):
    """Three projects of weights 1, 2, 3; workers of all queues and of some, named twice, too."""
    drawn = random.Random(seed)
    desks = [desk, *(make_desk(desk.database, name) for name in ("b", "c"))]
    for weight, name in enumerate(("default", "b", "c"), start=1):
        weigh(desk, name, weight)
    waiting = [queued(desks, number, drawn) for number in range(24)]
    running, turns = [0, 0, 0], [0, 0, 0]
    workers = [Worker(drawn.choices("abc", k=3), drawn.randrange(3)) for _ in range(30)]
    for count, worker in enumerate([*workers, Worker(["a", "b", "c"], 1)], start=1):
        claim = desk.claim(queues=worker.queues, num_gpus=worker.num_gpus)
        expected = first(waiting, running, turns, worker)
        assert (claim and claim.job_id) == (expected and expected.job_id)
        if expected is not None:
            waiting.remove(expected)
            running[expected.project] += 1
            turns[expected.project] = count


def queued(desks: Sequence[Desk], number: int, drawn: random.Random) -> Queued:
    """Submit a job of a drawn project to a drawn lane."""
    project, name = drawn.randrange(3), drawn.choice("abc")
    gpus, priority = drawn.randrange(2), drawn.randrange(3)
    resources = {"queue": name, "gpus": gpus, "priority": priority}
    job_id = desks[project].submit(resources=resources)
    return Queued(number, job_id, project, name, gpus, priority)
