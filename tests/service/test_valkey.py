"""The Valkey of `duet up` accepts only clients with its password."""

from pathlib import Path

import pytest
import redis

from duet.local.services.valkey import Valkey


def test_commands_without_the_password_are_refused(valkey_server: Valkey):
    for password in (None, "", "guessed"):
        with (
            redis.Redis(port=valkey_server.port, password=password) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
    with redis.Redis.from_url(valkey_server.url) as client:
        assert client.ping()


def test_other_users_cannot_read_the_password(valkey_server: Valkey):
    password = redis.Redis.from_url(valkey_server.url).connection_pool.connection_kwargs["password"]
    command = Path(f"/proc/{valkey_server.pid}/cmdline").read_text()
    assert password not in command
    holding = [path for path in valkey_server.folder.iterdir() if path.is_file()]
    told = [path for path in holding if password.encode() in path.read_bytes()]
    assert {path.name for path in told} == {"password", "valkey.conf"}
    assert {path.stat().st_mode & 0o777 for path in told} == {0o600}
    assert valkey_server.folder.stat().st_mode & 0o077 == 0


def test_the_password_survives_a_restart(tmp_path: Path):
    urls = []
    for _ in range(2):
        server = Valkey(tmp_path / "valkey")
        server.start()
        urls.append(server.url.split("@")[0])
        server.stop()
    assert urls[0] == urls[1]
