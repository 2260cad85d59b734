"""Servers killed by tests restart at their address, with or without their data."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest
import redis

from duet.local.services import ordinary_user
from duet.local.services.postgres import Postgres
from duet.local.services.process import ServiceError
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


@pytest.mark.parametrize(
    "written", ["{pid}\n", "", "0\n", "no number\n", "{pid}\n/elsewhere\n1\n1\n\n"]
)
def test_postgres_starts_after_a_crash_of_the_machine(tmp_path: Path, written: str):
    """A pid file with the id of another running program, as after a reboot."""
    with own_postgres(tmp_path / "postgres") as server:
        server.kill()
        left = written.format(pid=os.getpid())
        (server.folder / "data" / "postmaster.pid").write_text(left)
        server.start()


def test_an_interrupted_initialization_is_repeated(tmp_path: Path):
    unfinished = tmp_path / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with own_postgres(tmp_path / "postgres"):
        assert not unfinished.exists()


def test_a_postgres_still_running_on_the_folder_is_named_and_not_touched(tmp_path: Path):
    with own_postgres(tmp_path / "postgres") as server:
        second = Postgres(server.folder, leftover_seconds=0.1)
        with pytest.raises(ServiceError, match=r"already runs on .*kill -INT"):
            second.start()
        with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() != 0, reason="root's way around Postgres's refusal of root")
def test_root_without_user_namespaces_runs_it_as_nobody_on_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without user namespaces, as in a container, then with them again."""
    closed = tmp_path / "closed"  # as /root is
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.touch(mode=0o755)
    found = subprocess.run([*ordinary_user.ANOTHER_USER, "test", "-x", program], check=False)
    assert found.returncode == 0
    server = Postgres(closed / "postgres")
    owners, allowed = [], ordinary_user._namespace()
    for namespace in (("false",), allowed, ("false",)):
        monkeypatch.setattr(ordinary_user, "_namespace", lambda namespace=namespace: namespace)
        server.start()
        owners.append((server.folder / "data" / "base").stat().st_uid)
        assert Path(f"/proc/{server.pid}").stat().st_uid == owners[-1]
        server.stop()
    assert owners[0] == owners[2] == ordinary_user.NOBODY


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
