"""`duet secrets`: a value is read from standard input or typed without echo, and never shown."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from store.database.database import Database
from tests.service.api.conftest import client, make_key
from tests.waiting import deadline

VALUE = "hf_canary-of-ours"
Duet = Callable[..., subprocess.CompletedProcess[str]]
DUET = [sys.executable, "-c", "from duet.cli import main; main()", "secrets"]


@pytest.fixture
def environment(url: str, database: Database) -> Mapping[str, str]:
    return {**os.environ, "DUET_URL": url, "DUET_API_KEY": make_key(database, "ours", "admin")}


@pytest.fixture
def duet(environment: Mapping[str, str], tmp_path: Path) -> Duet:
    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DUET, *arguments],
            input=given,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=deadline(30),
            check=False,
        )

    return run


def test_a_secret_is_piped_in_listed_and_deleted(duet: Duet):
    done = duet("set", "HF_TOKEN", given=f"{VALUE}\n")
    assert (done.returncode, done.stdout) == (0, "HF_TOKEN is set\n"), done.stderr
    listed = duet("list").stdout
    assert "HF_TOKEN" in listed
    assert VALUE not in listed
    assert duet("delete", "HF_TOKEN", "--yes").stdout == "HF_TOKEN is deleted\n"
    assert duet("list").stdout == "none yet\n"


@pytest.mark.parametrize("given", ["", "\n", "x" * 8193])
def test_an_empty_or_endless_value_is_not_sent(duet: Duet, given: str):
    done = duet("set", "HF_TOKEN", given=given)
    assert done.returncode == 2
    assert "1 to 8192 characters" in done.stderr


def test_a_value_is_not_read_from_the_command_line(duet: Duet):
    """Every user of a machine reads the arguments of its processes."""
    done = duet("set", "HF_TOKEN", VALUE)
    assert done.returncode == 2
    assert "unexpected extra argument" in done.stderr


def test_on_a_terminal_it_is_typed_unseen(
    environment: Mapping[str, str], url: str, database: Database
):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(DUET[0], [*DUET, "set", "HF_TOKEN"], dict(environment))
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, f"{VALUE}\n".encode())
    with suppress(OSError):  # the end of a terminal
        while block := os.read(terminal, 1024):
            shown += block
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert shown.endswith(b"HF_TOKEN is set\r\n")
    assert VALUE.encode() not in shown
    with client(url, make_key(database, "ours", "admin")) as http:
        assert names(http) == ["HF_TOKEN"]


def names(http: httpx.Client) -> list[str]:
    return [each["name"] for each in http.get("/v1/secrets").json()["data"]]
