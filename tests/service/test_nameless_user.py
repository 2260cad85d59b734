"""A user without an entry in /etc/passwd and without a home, as containers of OpenShift have."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.duet_process import DUET, environment
from tests.waiting import deadline

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMELESS = ("unshare", "--user", "--map-user=12345", "--map-group=0")
NAMES = ("USER", "LOGNAME", "LNAME", "USERNAME")
WHO = """
import getpass, os, pwd
try:
    pwd.getpwuid(os.getuid())
except KeyError:
    print(os.getuid())
"""
POSTGRES = """
import sys
from pathlib import Path
from duet.local.services.postgres import Postgres
server = Postgres(Path(sys.argv[1]))
server.start()
print("started")
server.stop()
"""


@pytest.fixture
def nameless() -> dict[str, str]:
    """The environment of such a user, whose home cannot be written."""
    given = {name: value for name, value in environment().items() if name not in NAMES}
    given["HOME"] = "/proc"
    done = subprocess.run(
        [*NAMELESS, sys.executable, "-c", WHO],
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout != "12345\n":
        pytest.skip(f"this machine makes no such user: {done.stderr}")
    return given


def test_postgres_starts_for_a_user_whose_name_it_cannot_find(
    nameless: dict[str, str], tmp_path: Path
):
    done = subprocess.run(
        [*NAMELESS, sys.executable, "-c", POSTGRES, str(tmp_path / "postgres")],
        env=nameless,
        capture_output=True,
        text=True,
        check=False,
        timeout=deadline(60),
    )
    assert done.stdout == "started\n", done.stderr


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_everything_starts_and_trains_for_such_a_user(nameless: dict[str, str], tmp_path: Path):
    for path in EXAMPLES.glob("own-data.*"):
        shutil.copy(path, tmp_path)
    with (tmp_path / "up.log").open("w") as log:
        up = subprocess.Popen(
            [*NAMELESS, DUET, "up", "--json"],
            cwd=tmp_path,
            env=nameless,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert up.stdout is not None
    line = up.stdout.readline()
    assert line, (tmp_path / "up.log").read_text()
    try:
        server = json.loads(line)
        done = subprocess.run(
            [*NAMELESS, DUET, "submit", "own-data.yaml", "--watch"],
            cwd=tmp_path,
            env={**nameless, "DUET_URL": server["url"], "DUET_API_KEY": server["key"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=deadline(200),
        )
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(deadline(60)) == 0
        up.stdout.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("succeeded")
