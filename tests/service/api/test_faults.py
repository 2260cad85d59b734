"""Answers of the API while a service that it needs is unavailable."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import LiteralString

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from duet.local.services.postgres import Postgres
from duet.local.services.process import free_port
from store.database.database import Database
from store.database.schema import migrate
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving
from tests.waiting import deadline

Redis = Callable[[], AbstractContextManager[int]]


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections but never responds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@contextmanager
def refusing_port() -> Iterator[int]:
    yield free_port()


@pytest.mark.parametrize("redis", [refusing_port, silent_server], ids=["refusing", "silent"])
def test_a_job_is_taken_at_once_without_redis(settings: Settings, key: str, redis: Redis):
    with redis() as port:
        broken = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"})
        with serving(broken) as url, client(url, key) as http:
            http.get("/v1/jobs")
            began = time.monotonic()
            answer = http.post("/v1/jobs", json={})
            assert answer.status_code == 201
            assert time.monotonic() - began < deadline(1)
            # The wake-up is bounded as well: it holds up nothing that comes after.
            assert http.get(answer.headers["location"]).json()["status"] == "queued"
            assert time.monotonic() - began < 3.0
            ready = http.get("/readyz")
            assert ready.status_code == 200
            assert ready.json()["status"] == "degraded"
            assert ready.json()["checks"]["redis"] == "failed"


def test_a_commit_that_fails_is_not_a_201(http: httpx.Client, database: Database):
    with psycopg.connect(database.listen_url) as connection:
        connection.execute(
            """
            create function refuse() returns trigger language plpgsql as
              $$ begin raise exception 'refused at commit'; end $$;
            create constraint trigger refuse after insert on jobs
              deferrable initially deferred for each row execute function refuse();
            """
        )
    headers = {"Idempotency-Key": "k"}
    answer = http.post("/v1/jobs", json={}, headers=headers)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert "refused at commit" not in answer.text
    assert answer.headers["x-request-id"].startswith("req_")
    assert http.get("/v1/jobs").json()["data"] == []
    with psycopg.connect(database.listen_url) as connection:
        connection.execute("drop trigger refuse on jobs")
    again = http.post("/v1/jobs", json={}, headers=headers)
    assert again.status_code == 201
    assert "idempotent-replayed" not in again.headers


def test_without_postgres_every_route_answers_503_and_nothing_is_partly_written(
    settings: Settings, tmp_path: Path
):
    postgres = Postgres(tmp_path / "postgres", options=["-c", "fsync=off"])
    postgres.start()
    try:
        migrate(postgres.url)
        database = Database(postgres.url)
        key = make_key(database, "ours", "read", "submit")
        database.close()
        own = settings.model_copy(update={"database_url": postgres.url})
        with serving(own) as url, client(url, key) as http:
            assert http.post("/v1/jobs", json={"name": "before"}).status_code == 201
            postgres.stop()
            requests = [
                ("POST", "/v1/jobs", {"json": {"name": "during"}}),
                ("POST", "/v1/files", {"files": {"file": ("a", b'{"a": 1}')}}),
                ("GET", "/v1/jobs", {}),
                ("GET", "/v1/me", {}),
            ]
            for method, path, options in requests:
                answer = http.request(method, path, **options)
                assert answer.status_code == 503, path
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["code"] == "database_unavailable"
                assert answer.headers["retry-after"] == "5"
            assert http.get("/livez").status_code == 200
            assert http.get("/readyz").status_code == 503
            postgres.start()
            names = [job["name"] for job in http.get("/v1/jobs").json()["data"]]
            assert names == ["before"]
            assert http.get("/v1/files").json()["data"] == []
            assert http.get("/readyz").json()["status"] == "ready"
        stored = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
        assert stored == []
    finally:
        postgres.stop()


def test_a_postgres_that_refuses_writes_is_away(settings: Settings, database: Database, key: str):
    """After a switchover reads are answered, and writes get a retry time."""
    with (
        psycopg.connect(database.listen_url, autocommit=True) as connection,
        serving(settings) as url,
        client(url, key) as http,
    ):
        job = http.post("/v1/jobs", json={}).json()["id"]
        name = connection.info.dbname

        def switch(value: LiteralString) -> None:
            """Switchover that also ends the old sessions."""
            changed = SQL("alter database {} set default_transaction_read_only = " + value)
            connection.execute(changed.format(Identifier(name)))
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where datname = %s and pid <> pg_backend_pid()",
                [name],
            )

        switch("on")
        for method, path in (("POST", "/v1/jobs"), ("POST", f"/v1/jobs/{job}/cancel")):
            answer = http.request(method, path, json={})
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5")
            assert answer.json()["code"] == "database_unavailable"
        assert http.get(f"/v1/jobs/{job}").status_code == 200
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["writes"]) == (503, "failed")
        switch("off")
        assert http.post("/v1/jobs", json={}).status_code == 201
