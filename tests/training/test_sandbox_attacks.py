"""Attacks of a hostile grader on the kernel and on its parent, as root and as a user."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grpo.rewards.sandbox import sandbox
from grpo.rewards.sandbox.syscall_filter import MACHINES, program
from tests.waiting import deadline

USER = 12345
MACHINE = os.uname().machine
KINDS = ["as the tests", "as a user"]

PROGRAM = """
import json, os, sys
from sandbox import GraderFailed, Sandbox
RUNNER = '''
import ctypes, os, socket, mmap
C = ctypes.CDLL(None, use_errno=True)
C.shmat.restype = ctypes.c_void_p

def call(*arguments):
    return C.syscall(*arguments), ctypes.get_errno()

def hold(num_bytes):
    "Segments that are filled, and let go without being removed: no limit of a process has them."
    kept, size = 0, 64 << 20
    while kept < num_bytes:
        segment = C.shmget(0, size, 0o1600)
        address = C.shmat(segment, None, 0) if segment >= 0 else None
        if address is None:
            break
        ctypes.memset(address, 1, size)
        C.shmdt(ctypes.c_void_p(address))
        kept += size
    return kept

def grade(sample, item):
    return float(eval(item["run"]))
'''
def outcome(run):
    try:
        return one.grade({}, {"run": run})
    except GraderFailed as error:
        return str(error)
one = Sandbox(RUNNER)
print(json.dumps({run: outcome(run) for run in json.load(sys.stdin)}))
"""


def python_of_all() -> str:
    """An interpreter that another user can start."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is not valid Python that another user can start")
    return python


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Copy of the sandbox's program, readable by every user."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        for file in Path(sandbox.__file__).parent.glob("*.py"):
            shutil.copy(file, made)
        yield Path(made)


@pytest.fixture(scope="module", params=KINDS)
def outcomes(request: pytest.FixtureRequest, folder: Path) -> dict[str, float | str]:
    """Outcomes of every attack, from one process that starts a sandbox and must not be affected."""
    user = USER if request.param == "as a user" else None
    if user is not None and os.getuid() != 0:
        pytest.skip("the other tests are an ordinary user's")
    python = sys.executable if user is None else python_of_all()
    done = subprocess.run(
        [python, "-B", "-c", PROGRAM],
        cwd=folder,
        input=json.dumps(ATTACKS),
        capture_output=True,
        text=True,
        timeout=deadline(120),
        check=False,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    assert done.returncode == 0, f"the attack reached its starter: {done.returncode} {done.stderr}"
    return json.loads(done.stdout)


SHARED_MEMORY = {
    "hold(3 << 30)": 0,
    "C.shmget(0, 4096, 0o1600)": -1,
    "C.msgget(0, 0o1600)": -1,
    "C.semget(0, 1000, 0o1600)": -1,
    "C.mq_open(b'/x', 0o102, 0o600, None)": -1,
}
SIGNALS = {
    "os.kill(0, 9) or 7": None,  # ends itself, or is ignored: nobody else hears of it
    "os.kill(0, 19) or 7": None,
    "os.killpg(os.getpgid(0), 19) or 7": None,
    "os.kill(-1, 9) or 7": None,
    "len([p for p in range(2, 70000) if not C.kill(p, 0)])": 0,
    "len([p for p in range(2, 70000) if not C.kill(-p, 0)])": 0,
    "os.getsid(0) == os.getpgid(0) == os.getpid()": 1,
    "C.prctl(1, 0, 0, 0, 0)": -1,  # PR_SET_PDEATHSIG: to outlive its starter
    "C.prctl(4, 1, 0, 0, 0)": -1,  # PR_SET_DUMPABLE
}
FAMILIES = "[f for f in range(1, 64) if call(SOCKET, f, 1, 0)[0] != -1]"
if MACHINE == "x86_64":
    CALLS = {
        f"len({FAMILIES})".replace("SOCKET", "41"): 0,  # vsock is 40, netlink 16, alg 38
        "call(53, 40, 1, 0, 0)[1]": 97,  # socketpair of vsock: no such family
        "call(425, 8, ctypes.create_string_buffer(240))[1]": 1,  # io_uring_setup
        "call(248, b'user', b'x', b'y', 1, -2)[1]": 1,  # add_key
        "call(250, 0, -2, 1)[1]": 1,  # keyctl
        "call(321, 0, ctypes.create_string_buffer(120), 120)[1]": 1,  # bpf
        "call(323, 0)[1]": 1,  # userfaultfd
        "call(447, 0)[1]": 1,  # memfd_secret
        "call(272, 0x10000000)[1]": 1,  # unshare: a user namespace of its own
        "call(56, 0x10000000 | 17, 0, 0, 0, 0)[1]": 11,  # clone into one
        "call(59, b'/x', None, None)[1]": 1,  # execve
        "call(101, 0, 0, 0, 0)[1]": 1,  # ptrace
        "call(285, MEMORY, 1, 0, 1 << 31)[1]".replace("MEMORY", "os.memfd_create('x')"): 1,
    }
else:
    CALLS = {}
MEMORY = {
    "len(mmap.mmap(-1, 2 << 30))": "error",
    "os.ftruncate(os.memfd_create('x'), 1 << 31) or 7": "error",
}
PROBES = (335, 336)  # uretprobe and uprobe: the kernel's own, which end the process that calls them
X32 = "call(0x40000000 + 39)[0]"
OTHERS = "len([n for n in range(600) if n not in {allowed} and call(n, 0, 0, 0, 0, 0, 0)[0] != -1])"


def allowed_calls() -> list[int]:
    _, allowed, _, conditional = MACHINES[MACHINE]
    return sorted({*allowed.values(), *conditional.values(), *PROBES})


SWEEP = OTHERS.format(allowed=allowed_calls())
ATTACKS = [*SHARED_MEMORY, *SIGNALS, *CALLS, *MEMORY, X32, SWEEP, "1 + 1"]


def test_memory_that_no_limit_of_a_process_counts_cannot_be_had(outcomes: dict[str, float | str]):
    assert {run: outcomes[run] for run in SHARED_MEMORY} == SHARED_MEMORY
    for run in MEMORY:
        assert "Error: " in str(outcomes[run]), run


def test_the_grader_cannot_signal_its_parent(outcomes: dict[str, float | str]):
    told = {run: outcomes[run] for run, value in SIGNALS.items() if value is not None}
    assert told == {run: value for run, value in SIGNALS.items() if value is not None}
    assert outcomes["1 + 1"] == 2.0


@pytest.mark.skipif(MACHINE != "x86_64", reason="the numbers of system calls are x86-64's")
def test_system_calls_not_needed_for_computation_are_refused(
    outcomes: dict[str, float | str],
):
    assert {run: outcomes[run] for run in CALLS} == CALLS
    assert outcomes[SWEEP] == 0
    assert outcomes[X32] == "its process ended without an answer"


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_is_one_that_the_kernel_takes(machine: str):
    """Jumps go forward to an instruction, and the last instruction returns."""
    instructions = program(machine)
    assert len(instructions) < 4096
    for place, (_, if_so, if_not, _) in enumerate(instructions):
        assert max(if_so, if_not) < 256
        assert place + 1 + max(if_so, if_not) <= len(instructions)
    assert instructions[-1] == (0x06, 0, 0, 0x00050001)
