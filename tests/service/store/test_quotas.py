"""A project's quotas are exact under concurrent claims and submissions."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import func, select

from store.access import projects
from store.access.projects import Quota
from store.database.database import Database
from store.errors import NotFound, QuotaExceeded
from store.jobs.claim import Claim
from store.jobs.outcomes import Failed
from store.states import Status
from store.tables import Job, Project
from tests.service.store.desk import Desk, make_desk
from tests.waiting import deadline

OVER = Failed({"code": "bad_data", "message": "no rows", "hint": "fix"}, retryable=False)
NUM_CLAIMERS = 8


def limit(
    desk: Desk, *, project: str = "default", running: int | None = None, queued: int | None = None
) -> None:
    with desk.database.session() as session:
        projects.set_quota(session, project, Quota(running, queued))


def num_running(desk: Desk) -> int:
    count = select(func.count()).select_from(Job)
    own = count.where(Job.status == Status.RUNNING, Job.project_id == desk.project_id)
    with desk.database.session() as session:
        return session.scalars(own).one()


def test_claimers_at_once_never_run_more_of_a_project_than_its_quota(desk: Desk):
    free = make_desk(desk.database, "free")
    limit(desk, running=3)
    submitted = {desk.submit() for _ in range(12)} | {free.submit() for _ in range(6)}

    def claim_all(gate: threading.Barrier) -> list[Claim]:
        gate.wait(deadline(10))
        claims = []
        while claim := desk.claim():
            claims.append(claim)
        return claims

    begun: set[UUID] = set()
    with ThreadPoolExecutor(NUM_CLAIMERS) as pool:
        for _ in range(4):  # three at a time
            gate = threading.Barrier(NUM_CLAIMERS)
            claiming = [pool.submit(claim_all, gate) for _ in range(NUM_CLAIMERS)]
            claims = [claim for claimer in claiming for claim in claimer.result(60)]
            assert num_running(desk) == 3
            begun |= {claim.job_id for claim in claims}
            for claim in claims:
                desk.finish(claim, OVER)
    assert begun == submitted


def test_a_full_project_gives_way_whatever_its_priority(desk: Desk):
    other = make_desk(desk.database, "other")
    limit(desk, running=1)
    first, urgent = desk.running(), desk.submit(resources={"priority": 100})
    plain = other.submit()
    said = desk.waiting(urgent).waiting_for
    assert said == "a job of its project to end: 1 running, of at most 1"
    assert other.waiting(plain).position == 1
    claim = desk.claim()
    assert claim is not None
    assert claim.job_id == plain
    assert desk.claim() is None
    desk.finish(first, OVER)
    claim = desk.claim()
    assert claim is not None
    assert claim.job_id == urgent


def test_within_their_quotas_projects_share_fairly(desk: Desk):
    other = make_desk(desk.database, "other")
    limit(desk, running=2)
    mine, others = [desk.submit() for _ in range(3)], [other.submit() for _ in range(3)]
    order = [claim.job_id for claim in (desk.claim() for _ in range(6)) if claim]
    # In turn, the older first, until two of mine run.
    assert order == [mine[0], others[0], mine[1], others[1], others[2]]


def test_submissions_at_once_never_exceed_what_may_wait(desk: Desk):
    limit(desk, queued=5)
    gate = threading.Barrier(NUM_CLAIMERS)

    def submit() -> int:
        gate.wait(deadline(10))
        refused = 0
        for _ in range(3):
            try:
                desk.submit()
            except QuotaExceeded:
                refused += 1
        return refused

    with ThreadPoolExecutor(NUM_CLAIMERS) as pool:
        submitting = [pool.submit(submit) for _ in range(NUM_CLAIMERS)]
        assert sum(each.result(60) for each in submitting) == 3 * NUM_CLAIMERS - 5
    with desk.database.session() as session:
        assert session.scalars(select(func.count()).select_from(Job)).one() == 5


def test_a_job_that_began_or_was_cancelled_makes_room_for_another(desk: Desk):
    limit(desk, queued=1)
    first = desk.submit()
    with pytest.raises(QuotaExceeded, match="this project already has 1 queued job, its limit"):
        desk.submit()
    desk.cancel(first)
    second = desk.submit()
    claim = desk.claim()
    assert claim is not None
    assert claim.job_id == second
    assert desk.submit()
    assert make_desk(desk.database, "other").submit()


def test_quotas_are_set_on_the_command_line(desk: Desk, database: Database, database_url: str):
    def set_quota(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "store", "set-quota", *arguments]
        env = {**os.environ, "DATABASE_URL": database_url}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    done = set_quota("default", "--max-running", "2", "--max-queued", "7")
    assert done.stdout == "default: at most 2 running, at most 7 queued\n"
    assert set_quota("nobody").returncode == 2
    with database.session() as session:
        project = session.get_one(Project, desk.project_id)
        assert (project.max_running, project.max_queued) == (2, 7)
    done = set_quota("default", "--max-running", "2")
    assert done.stdout == "default: at most 2 running, any number queued\n"


def test_a_project_that_does_not_exist_has_no_quota(desk: Desk):
    with pytest.raises(NotFound, match="there is no project nobody"):
        limit(desk, project="nobody")
