"""The log of a server under `duet up` stays small, without losing its end."""

import sys
from pathlib import Path

from duet.local.services.process import Child
from tests.waiting import wait_until

TALKS = """
import sys
number = 0
while True:
    number += 1
    print("line", number, "." * 80, flush=True)
    if number % 50 == 0: import time; time.sleep(0.01)
"""


def test_a_large_log_is_rotated_while_its_server_runs(tmp_path: Path):
    log = tmp_path / "talks.log"
    child = Child([sys.executable, "-c", TALKS], log=log)
    try:
        wait_until(lambda: log.stat().st_size > 20_000)
        child.bound_log(num_bytes=1_000_000)
        assert not log.with_name("talks.log.1").exists()
        child.bound_log(num_bytes=10_000)
        before = log.with_name("talks.log.1").read_text()
        assert before.startswith("line 1 ")
        wait_until(lambda: log.stat().st_size > 0)
        assert child.last_words(3).startswith("line ")
        assert "\0" not in log.read_text()
    finally:
        child.kill()
