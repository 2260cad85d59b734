"""Workers and queues over HTTP: registration, running jobs, drains."""

from collections.abc import Sequence
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from store import workers
from store.database.database import Database
from store.ids import encode, new_id
from store.jobs import leases
from store.jobs.claim import Claim, claim_next
from store.jobs.outcomes import ExitInfo, Failed, Stopped
from store.workers import Gpu, Machine
from tests.service.api.conftest import client, make_key
from tests.service.api.test_jobs import submit

MACHINE = Machine(
    gpus=[Gpu("NVIDIA H100", 80 * 2**30)], memory_bytes=2**37, versions={"torch": "2.13.0"}
)


@pytest.fixture
def admin_http(url: str, database: Database):
    with client(url, make_key(database, "ours", "read", "submit", "admin", "server")) as opened:
        yield opened


def enrol(
    database: Database, *, queues: Sequence[str] = ("default",), slots: int = 1, num_gpus: int = 0
) -> UUID:
    worker_id = new_id()
    with database.session() as session:
        workers.register(
            session,
            worker_id=worker_id,
            host="gpu-box",
            boot_id="boot",
            pid=1,
            queues=queues,
            num_gpus=num_gpus,
            slots=slots,
            machine=MACHINE,
        )
    return worker_id


def claim(database: Database, worker_id: UUID, *, gpus: str | None = None) -> Claim:
    with database.session() as session:
        claimed = claim_next(
            session,
            worker_id=worker_id,
            host="gpu-box",
            queues=["default"],
            num_gpus=1,
            lease_seconds=60,
            boot_id="boot",
            gpus=gpus,
        )
    assert claimed is not None
    return claimed


def queue_named(http: httpx.Client, name: str) -> dict:
    [found] = [one for one in http.get("/v1/queue").json()["data"] if one["name"] == name]
    return found


def test_a_worker_shows_its_machine_and_only_counts_other_projects_jobs(
    http: httpx.Client, their_http: httpx.Client, database: Database
):
    worker_id = enrol(database, slots=2, num_gpus=1)
    ours, theirs = submit(http)["id"], submit(their_http)["id"]
    claim(database, worker_id)
    claim(database, worker_id)
    [worker] = http.get("/v1/workers").json()["data"]
    assert worker["id"] == encode("work", worker_id)
    assert worker["gpus"] == [{"name": "NVIDIA H100", "memory_bytes": 80 * 2**30}]
    assert (worker["memory_bytes"], worker["versions"]) == (2**37, {"torch": "2.13.0"})
    assert (worker["host"], worker["status"], worker["queues"]) == (
        "gpu-box",
        "active",
        ["default"],
    )
    assert (worker["jobs"], worker["num_other_jobs"]) == ([ours], 1)
    one = their_http.get(f"/v1/workers/{worker['id']}").json()
    assert (one["jobs"], one["num_other_jobs"]) == ([theirs], 1)
    assert their_http.get("/v1/workers/work_" + "0" * 32).status_code == 404


def test_draining_needs_a_scope_and_a_drained_worker_claims_nothing(
    http: httpx.Client, admin_http: httpx.Client, database: Database
):
    worker = f"/v1/workers/{encode('work', enrol(database))}"
    assert http.post(f"{worker}/drain").status_code == 403
    job = submit(http)["id"]
    assert queue_named(http, "default")["free_slots"] == 1
    drained = admin_http.post(f"{worker}/drain").json()
    assert (drained["status"], drained["leaves_when_empty"]) == ("draining", False)
    assert queue_named(http, "default")["workers"] == 0
    waiting = http.get(f"/v1/jobs/{job}").json()["queue"]
    assert waiting["waiting_for"] == "a worker for queue 'default'"
    leaving = admin_http.post(f"{worker}/drain", params={"leave": "true"}).json()
    assert (leaving["draining_at"], leaving["leaves_when_empty"]) == (drained["draining_at"], True)
    assert http.post(f"{worker}/undrain").status_code == 403
    back = admin_http.post(f"{worker}/undrain").json()
    assert (back["status"], back["draining_at"], back["leaves_when_empty"]) == (
        "active",
        None,
        False,
    )


def test_a_worker_that_is_gone_is_read_but_not_listed_nor_drained(
    admin_http: httpx.Client, database: Database
):
    worker_id = enrol(database)
    with database.session() as session:
        workers.leave(session, worker_id)
    worker = f"/v1/workers/{encode('work', worker_id)}"
    assert admin_http.get("/v1/workers").json()["data"] == []
    assert admin_http.get(worker).json()["status"] == "gone"
    assert admin_http.post(f"{worker}/drain").status_code == 409


def test_a_queue_shows_its_jobs_and_estimates_only_from_known_jobs(
    http: httpx.Client, database: Database
):
    later = {"resources": {"not_before": "2999-01-01T00:00:00Z"}}
    submit(http, **later)
    unserved = queue_named(http, "default")
    assert (unserved["queued"], unserved["due"], unserved["workers"]) == (1, 0, 0)
    assert (unserved["oldest_wait_seconds"], unserved["wait_seconds"]) == (None, None)

    worker_id = enrol(database, queues=["default", "other"], slots=2)
    assert queue_named(http, "other")["wait_seconds"] == 0
    for _ in range(4):
        submit(http)
    claim(database, worker_id)
    claim(database, worker_id)
    busy = queue_named(http, "default")
    assert (busy["queued"], busy["due"], busy["running"]) == (3, 2, 2)
    assert (busy["slots"], busy["free_slots"]) == (2, 0)
    assert busy["oldest_wait_seconds"] > 0
    assert busy["wait_seconds"] is None  # none of its jobs has ended yet

    with database.engine.begin() as connection:  # as if one had taken 100 s
        connection.execute(
            text(
                "update jobs set status = 'succeeded', lease_expires_at = null, "
                "finished_at = now(), started_at = now() - interval '100 s' "
                "where id = (select id from jobs where status = 'running' limit 1)"
            )
        )
    freed = queue_named(http, "default")
    assert (freed["running"], freed["free_slots"]) == (1, 1)
    # A newcomer is the third of those due, one slot is free: two jobs' ends at one every 50 s.
    assert freed["wait_seconds"] == pytest.approx(100)


def test_the_wait_of_a_job_that_was_tried_begins_with_its_last_attempts_end(
    http: httpx.Client, database: Database
):
    job = submit(http)["id"]
    claimed = claim(database, enrol(database))
    with database.engine.begin() as connection:
        connection.execute(text("update jobs set queued_at = now() - interval '10 h'"))
    with database.session() as session:
        leases.finish(session, claimed.job_id, claimed.attempt, Stopped(), ExitInfo())
    assert http.get(f"/v1/jobs/{job}").json()["status"] == "queued"
    assert queue_named(http, "default")["oldest_wait_seconds"] < 3600


def test_an_attempt_shows_all_its_details(http: httpx.Client, database: Database):
    job = submit(http)["id"]
    worker_id = enrol(database)
    claimed = claim(database, worker_id, gpus="0,1")
    [running] = http.get(f"/v1/jobs/{job}/attempts").json()["data"]
    assert (running["worker"], running["gpus"]) == (encode("work", worker_id), ["0", "1"])
    assert (running["outcome"], running["log_tail"], running["error"]) == (None, None, None)

    error = {"code": "trainer_crashed", "message": "it crashed", "hint": "Look."}
    killed = ExitInfo(signal=9, log_tail="step 1\x00\nits last words\n")
    with database.session() as session:
        leases.finish(session, claimed.job_id, claimed.attempt, Failed(error, True), killed)
    second = claim(database, worker_id)
    with database.session() as session:
        leases.finish(session, second.job_id, second.attempt, Stopped(), ExitInfo(code=0))
    first, last = http.get(f"/v1/jobs/{job}/attempts").json()["data"]
    assert first["error"] == error
    assert (first["outcome"], first["exit_code"], first["exit_signal"]) == (
        "failed",
        None,
        "SIGKILL",
    )
    assert first["log_tail"].endswith("its last words\n")
    assert (last["outcome"], last["exit_code"], last["exit_signal"]) == ("stopped", 0, None)
    assert (last["gpus"], last["log_tail"], last["error"]) == ([], None, None)
