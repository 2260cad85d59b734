"""Times in the reader's time zone, from any source."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

PROGRAM = """
import sys
from datetime import datetime
from duet.terminal.moments import in_local_time, moment
print(moment(datetime.fromisoformat(sys.argv[1])))
print(in_local_time(sys.argv[2]))
"""


def printed(zone: str, at: str, text: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, at, text]
    environment = {"TZ": zone, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2026-01-31 23:30:00 UTC"),
        ("CET-1", "2026-02-01 00:30:00 CET"),
        ("IST-5:30", "2026-02-01 05:00:00 IST"),
        ("EST5", "2026-01-31 18:30:00 EST"),
    ],
)
def test_a_moment_and_one_within_a_sentence_are_shown_in_the_same_named_zone(zone: str, shown: str):
    at = datetime(2026, 1, 31, 23, 30, tzinfo=UTC).isoformat()
    for written in ("2026-01-31T23:30:00Z", at, "2026-01-31T23:30:00.250000+00:00"):
        text = f"its start ({written}), then a worker"
        assert printed(zone, at, text) == [shown, f"its start ({shown}), then a worker"]


def test_a_sentence_without_a_moment_stays():
    text = "version 2026-01-31, file T23:30:00Z"
    assert printed("CET-1", "2026-01-31T00:00:00Z", text)[1] == text
