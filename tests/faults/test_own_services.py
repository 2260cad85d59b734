"""The servers that tests kill come back at their address, with what they had or without it."""

from pathlib import Path

import psycopg
import pytest
import redis

from tests.faults.own_services import own_postgres, own_valkey
from worker.processes import started_at


def test_a_killed_postgres_leaves_no_process_and_has_all_that_was_committed(tmp_path: Path):
    with own_postgres(tmp_path / "postgres") as server:
        url = server.url.replace("+psycopg", "")
        other = psycopg.connect(url)
        backend = other.info.backend_pid
        with psycopg.connect(url) as connection:
            connection.execute("create table kept as select 1 as n")
        other.execute("insert into kept values (2)")
        server.kill()
        assert started_at(backend) is None
        other.close()
        server.start()
        assert "automatic recovery" in server.child.words_since_start()
        with psycopg.connect(url) as connection:
            assert connection.execute("select n from kept").fetchall() == [(1,)]


@pytest.mark.parametrize(("loses_data", "found"), [(False, b"kept"), (True, None)])
def test_a_killed_valkey_comes_back_with_its_data_or_without(
    tmp_path: Path, loses_data: bool, found: bytes | None
):
    with own_valkey(tmp_path / "valkey") as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("word", "kept")
        server.kill()
        if loses_data:
            server.lose_data()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("word") == found
