"""Many jobs and several claimers: each job is claimed once, in order, and at a bounded cost."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, select, text
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.orm import Session

from duet.local.services.postgres import Postgres
from store.database.database import Database
from store.ids import new_id
from store.jobs import queue
from store.jobs.claim import claim_next
from store.tables import Job
from tests.databases import copy_of
from tests.service.store.blocks import blocks
from tests.service.store.desk import LEASE_SECONDS, Desk, make_desk

FEW, MANY = 100, 100_000
up_to = pytest.mark.parametrize("num_jobs", [5000, pytest.param(MANY, marks=pytest.mark.nightly)])
NUM_ENDED = 50_000


@pytest.fixture
def database_url(postgres_server: Postgres, template_database: str) -> Iterator[str]:
    """A separate database: dead rows would slow the other tests down."""
    with copy_of(postgres_server, template_database) as url:
        yield url


def fill(desk: Desk, num_jobs: int, **columns: str) -> None:
    """Queue copies of the first job, each older than the previous; `columns` are SQL of `n`."""
    given = {
        "id": "gen_random_uuid()",
        "spec": "'{}'",
        "priority": "n % 5",
        "queued_at": "now() - n * interval '1 s'",
        **columns,
    }
    names = [column.name for column in Job.__table__.columns]
    values = [given.get(name, f"first.{name}") for name in names]
    statement = (
        f"insert into jobs ({', '.join(names)}) select {', '.join(values)} "
        f"from (select * from jobs order by id limit 1) first, generate_series(1, {num_jobs}) n"
    )
    run(desk.database, statement)


def run(database: Database, statement: str) -> None:
    """Outside a transaction."""
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))


def buffers(session: Session, statement: Select[Any]) -> int:
    """Return the number of pages that a statement touches, read or cached."""
    compiled = statement.compile(session.get_bind(), compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, PGCompiler)
    explained = session.connection().exec_driver_sql(
        f"explain (analyze, buffers, format json) {compiled}", compiled.params
    )
    plan = explained.scalar_one()[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def claim_buffers(desk: Desk) -> int:
    """Return the pages of the claim's statement, after a first one has marked dead rows."""

    def read(session: Session) -> Job | None:
        return queue.first(session, queues=["default", "other"], num_gpus=1)

    with desk.database.session() as session:
        assert read(session) is not None
    return blocks(desk, read)


def claim_all(url: str, worker_id: UUID) -> list[UUID]:
    """Worker process that claims jobs until none is left, and returns them."""
    database = Database(url)
    claimed = []
    while True:
        with database.session() as session:
            claim = claim_next(
                session,
                worker_id=worker_id,
                host="host-a",
                queues=["default"],
                num_gpus=0,
                lease_seconds=LEASE_SECONDS,
                boot_id="boot-1",
            )
        if claim is None:
            database.close()
            return claimed
        claimed.append(claim.job_id)


@pytest.mark.parametrize("num_jobs", [200, pytest.param(1000, marks=pytest.mark.nightly)])
def test_two_workers_claim_many_jobs_once_each_and_in_order(
    desk: Desk, database_url: str, num_jobs: int
):
    """A transaction's number is given out at its first write, so behind the lock on claims: the
    rows' `xmin` says in which order, over both workers, they were claimed."""
    desk.submit(resources={"priority": 9})
    shuffled = f"now() - (n * 7919 % {num_jobs}) * interval '1 s'"
    fill(desk, num_jobs - 1, spec="first.spec", queued_at=shuffled)
    order = (Job.priority.desc(), Job.queued_at, Job.id)
    with desk.database.session() as session:
        expected = list(session.scalars(select(Job.id).order_by(*order)))
    worker_ids = [new_id(), new_id()]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        claims = list(pool.map(claim_all, [database_url] * 2, worker_ids))
    assert all(claims)
    assert len(claims[0]) + len(claims[1]) == num_jobs
    with desk.database.session() as session:
        claimed = session.execute(select(Job).order_by(text("xmin::text::bigint"))).scalars().all()
    assert [job.id for job in claimed] == expected
    for worker_id, own in zip(worker_ids, claims, strict=True):
        assert [job.id for job in claimed if job.worker_id == worker_id] == own
    assert {(job.status, job.attempt, job.last_seq) for job in claimed[1:]} == {("running", 1, 2)}


SITUATIONS: dict[str, dict[str, str]] = {
    "that wait": {},
    "whose start time has not come": {
        "not_before": "now() + n * interval '1 h'",
        "deferred": "true",
    },
    "that wait after a failure": {"retry_at": "now() + interval '1 h'", "deferred": "true"},
    "that need more GPUs": {"gpus": "2 + n % 2"},
    "of another queue": {"queue": "'elsewhere'"},
    "of eight projects": {
        "project_id": "(select id from projects order by id offset n % 8 limit 1)"
    },
}


def test_with_more_projects_a_claim_costs_more_only_by_those_in_which_a_job_waits(desk: Desk):
    desk.submit()
    alone = claim_buffers(desk)
    run(
        desk.database,
        "insert into projects (id, name) "
        "select gen_random_uuid(), 'project-' || n from generate_series(1, 500) n",
    )
    run(desk.database, "analyze")
    assert claim_buffers(desk) <= alone + 2
    each = "(select id from projects where name = 'project-' || n)"
    fill(desk, 500, project_id=each)
    run(desk.database, "analyze")
    assert claim_buffers(desk) <= 500 * 16


def test_ended_jobs_cost_a_claim_less_than_a_page_for_25_and_after_a_vacuum_nothing(desk: Desk):
    """Jobs that left the queue stay in its index until a vacuum; a scan marks them as dead, and the
    next one does not look it up any more."""
    desk.submit()
    fill(desk, FEW)
    run(desk.database, "analyze jobs")
    before = claim_buffers(desk)
    fill(desk, NUM_ENDED, name="'ended'")
    run(desk.database, "update jobs set status = 'running', lease_expires_at = now()")
    ended = "status = 'succeeded', lease_expires_at = null, finished_at = now()"
    run(desk.database, f"update jobs set {ended} where name = 'ended'")
    queued = "status = 'queued', lease_expires_at = null"
    run(desk.database, f"update jobs set {queued} where name <> 'ended'")
    assert claim_buffers(desk) - before < NUM_ENDED / 25
    run(desk.database, "vacuum jobs")
    assert claim_buffers(desk) <= 2 * before


def test_postgres_vacuums_the_jobs_long_before_a_fifth_of_them_are_dead(database: Database):
    with database.session() as session:
        options = session.scalar(
            text("select reloptions from pg_class where oid = 'jobs'::regclass")
        )
    assert options == ["autovacuum_vacuum_scale_factor=0.02", "autovacuum_vacuum_threshold=1000"]


def test_jobs_that_become_due_together_are_all_claimed_whatever_a_claim_lines_up(desk: Desk):
    past = {"not_before": "now() - interval '1 s'", "deferred": "true", "spec": "first.spec"}
    desk.submit()
    fill(desk, 2 * queue.TAKEN_IN_AT_ONCE, **past)
    claimed = [claim.job_id for claim in iter(desk.claim, None)]
    assert len(set(claimed)) == len(claimed) == 2 * queue.TAKEN_IN_AT_ONCE + 1


@up_to
@pytest.mark.parametrize("deferred", [False, True])
def test_whether_to_wake_workers_up_is_found_in_a_few_pages(
    desk: Desk, deferred: bool, num_jobs: int
):
    later = {"not_before": "now() + interval '1 h'", "deferred": "true"}
    desk.cancel(desk.submit())
    queued = {"status": "'queued'", "wanted": "'run'", "finished_at": "null"}
    fill(desk, num_jobs, **queued, **(later if deferred else {}))
    run(desk.database, "analyze jobs")
    with desk.database.session() as session:
        assert session.scalar(queue.any_claimable()) is not deferred
        assert buffers(session, queue.any_claimable()) < 20


@up_to
@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_claim_touches_as_many_pages_whether_100_or_100_000_jobs(
    desk: Desk, situation: str, num_jobs: int
):
    """With the planner's figures from when there were few jobs, and with new ones."""
    columns = SITUATIONS[situation]
    for n in range(7):
        make_desk(desk.database, f"project-{n}")
    desk.submit()
    fill(desk, FEW, **columns)
    run(desk.database, "analyze jobs")
    few = claim_buffers(desk)
    fill(desk, num_jobs - FEW, **columns)
    unaware = claim_buffers(desk)
    run(desk.database, "analyze jobs")
    aware = claim_buffers(desk)
    assert max(unaware, aware) <= 2 * few
