"""Dump and restore of a database, as in docs/operations.md."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import text

from duet.local.services.postgres import _binary
from store.database.database import Database
from store.jobs import reaper
from store.jobs.outcomes import Completed
from store.log.log import Entry
from tests.service.store.desk import AT, Desk, metric

UNLIKE = text("""
    select count(*) from jobs j where last_seq is distinct from
        (select coalesce(max(seq), 0) from records r where r.job_id = j.id)
""")

OVER = text("update jobs set lease_expires_at = now() where status = 'running'")


def test_a_dump_is_restored_and_a_running_job_continues_there(
    desk: Desk, database: Database, tmp_path: Path
):
    done = desk.running()
    desk.sync(done, metric(1, 1), Entry(2, "sample", 1, AT, {"prompt": "größer ☃"}))
    desk.save(done, step=1, n=3, final=True)
    desk.finish(done, Completed())
    running = desk.running()
    desk.sync(running, metric(1, 1), metric(2, 2))
    desk.save(running, step=1, n=3)
    dump = str(tmp_path / "duet.dump")
    run("pg_dump", "--format=custom", f"--file={dump}", database.listen_url)
    desk.sync(running, metric(4, 3))  # after the dump: lost

    restored = make_conninfo(database.listen_url, dbname="restored")
    with psycopg.connect(database.listen_url, autocommit=True) as connection:
        connection.execute("create database restored")
    run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={restored}", dump)
    second = Database(restored)
    there = replace(desk, database=second)
    with second.session() as session:
        assert session.scalar(UNLIKE) == 0
    assert told(there, done.job_id) == told(desk, done.job_id)
    assert there.job(done.job_id).status == "succeeded"
    with second.session() as session:
        session.execute(OVER)
    with second.session() as session:
        assert reaper.reap(session, outage_seconds=30, lease_seconds=0).requeued == 1
    again = there.claim_of(running.job_id)
    assert (again.attempt, there.attempt(again).resumed_from_step) == (2, 1)
    assert [r.step for r in there.records(running.job_id, "metric", superseded=True)] == [1, 2]
    second.close()
    with psycopg.connect(database.listen_url, autocommit=True) as connection:
        connection.execute("drop database restored")


def told(desk: Desk, job_id: UUID) -> list[tuple[int, str, dict[str, Any]]]:
    return [(record.seq, record.kind, record.payload) for record in desk.records(job_id)]


def run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [_binary(program), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
