"""A call in a process of its own: a machine that cannot start it is no fault of the call, and the
process has none of its parent's secrets."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grpo.runtime.bounded_process import OutOfMemory, call_bounded
from tests.waiting import deadline

CALLS = """
import os, resource, sys
from grpo.runtime.bounded_process import call_bounded
call_bounded(abs, -1, seconds=60, memory_bytes=2**30)  # all modules are loaded
if sys.argv[1] == "RLIMIT_NPROC" and os.getuid() == 0:
    os.setuid(65534)  # it does not apply to root
kind, limits = getattr(resource, sys.argv[1]), map(int, sys.argv[2:])
first_free = os.open("/dev/null", os.O_RDONLY)
for limit in limits:
    more = first_free if sys.argv[1] == "RLIMIT_NOFILE" else 0
    resource.setrlimit(kind, (more + limit, resource.getrlimit(kind)[1]))
    try:
        print(call_bounded(abs, -1, seconds=60, memory_bytes=2**30))
    except OSError as error:
        print(error.errno)
"""
UPLOADS = """
import os, resource, sys
from pathlib import Path
from threading import BoundedSemaphore
from api.submission.data_file import inspected_soon
path = Path(sys.argv[1])
places = BoundedSemaphore()
print(inspected_soon(path, path.stat().st_size, places).num_rows)
first_free = os.open("/dev/null", os.O_RDONLY)
for more in range(3, 16, 2):
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + more, 1024))
    print(inspected_soon(path, path.stat().st_size, places))
"""
KEPT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "TZ": "UTC"}
SECRETS = {
    "DATABASE_URL": "postgresql://duet:canary@postgres/duet",
    "REDIS_URL": "redis://:canary@valkey/0",
    "DUET_SECRETS_KEY": "canary",
    "AWS_SECRET_ACCESS_KEY": "canary=with=signs",
    "HTTPS_PROXY": "http://user:canary@proxy",
    "OMP_TOKEN": "canary",
    "SOMETHING": "canary" * 10_000,
    "EMPTY": "",
}


def fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def environment_seen() -> tuple[dict[str, str], bytes, str]:
    """Return the process's environment as Python, the system and a child of it see it."""
    child = subprocess.run(["env"], capture_output=True, text=True, check=True)
    return dict(os.environ), Path("/proc/self/environ").read_bytes(), child.stdout


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (("RLIMIT_NOFILE", *map(str, range(1, 16, 2))), errno.EMFILE),
        (("RLIMIT_NPROC", "1"), errno.EAGAIN),
    ],
)
def test_a_process_that_cannot_start_is_an_error_of_the_machine(
    limits: tuple[str, ...], expected: int
):
    command = [sys.executable, "-c", CALLS, *limits]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=deadline(60), check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = set(map(int, done.stdout.split()))
    assert expected in outcomes
    assert outcomes <= {expected, 1}


def test_an_upload_whose_check_cannot_start_is_left_to_the_background(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "1+1="}\n' * 5000)
    command = [sys.executable, "-c", UPLOADS, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=deadline(60), check=False
    )
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first == "5000"
    assert "None" in others
    assert not any("problems=('" in other for other in others)


def test_an_error_of_the_system_within_the_call_is_raised_as_it_is():
    with pytest.raises(OSError, match="Input/output error") as error:
        call_bounded(fail, errno.EIO, seconds=60, memory_bytes=2**30)
    assert error.value.errno == errno.EIO
    with pytest.raises(OutOfMemory):  # its own limit
        call_bounded(fail, errno.ENOMEM, seconds=60, memory_bytes=2**30)


def test_the_process_has_no_secret_of_its_parent():
    script = (
        "from tests.unit.test_bounded_process import *\n"
        "print(call_bounded(environment_seen, seconds=60, memory_bytes=2**30))\n"
        "assert os.environ['DUET_SECRETS_KEY'] == 'canary'\n"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**KEPT, **path, **SECRETS},
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout
    for name, value in KEPT.items():
        assert f"{name}={value}\\n" in done.stdout
