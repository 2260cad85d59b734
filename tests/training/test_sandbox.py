"""The sandbox of a spec's own code."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grpo.errors import RunError
from grpo.rewards.sandbox import sandbox
from grpo.rewards.sandbox.sandbox import GraderFailed, Sandbox
from grpo.rollout.scorer import Score, ScoreFailure, Scorer
from grpo.spec.rollout import Scoring
from tests.training.test_scoring_pool import candidate, children, gone, rewards
from tests.waiting import wait_until

RUNNER = """
def grade(sample, item):
    return eval(item["run"], {"__builtins__": __builtins__})
"""
"""Grader that evaluates the item's expression, as a hostile one could."""


@pytest.fixture
def hostile() -> Iterator[Sandbox]:
    with closing(Sandbox(RUNNER)) as sandbox:
        yield sandbox


def value(sandbox: Sandbox, run: str) -> float:
    return sandbox.grade({"output_text": "", "num_tokens": 0}, {"run": run})


def failure(sandbox: Sandbox, run: str) -> str:
    with pytest.raises(GraderFailed) as failed:
        value(sandbox, run)
    return str(failed.value)


def test_a_grader_sees_the_completion_and_its_row():
    source = """
import re

def grade(sample, item):
    numbers = re.findall(r"[0-9]+", sample["output_text"])
    return 0.5 * (numbers[-1] == item["answer"]) + sample["num_tokens"] / 100
"""
    with closing(Sandbox(source)) as sandbox:
        assert sandbox.grade({"output_text": "it is 18", "num_tokens": 3}, {"answer": "18"}) == 0.53
        assert (
            sandbox.grade({"output_text": "\ud800 17", "num_tokens": 3}, {"answer": "18"}) == 0.03
        )


def test_the_standard_library_is_available(hostile: Sandbox):
    for module in ("hashlib", "zlib", "decimal", "statistics", "difflib", "datetime", "uuid"):
        assert value(hostile, f"len(__import__('{module}').__name__)") == len(module)


def test_there_is_no_network(hostile: Sandbox):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()  # from here it can be reached
        connect = f"__import__('socket').create_connection(('127.0.0.1', {port}), 2)"
        assert "Network is unreachable" in failure(hostile, connect)


def test_there_is_no_file_but_the_standard_library(hostile: Sandbox, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("42")
    secret.chmod(0o644)
    for path in (secret, Path(__file__), Path("/etc/passwd"), Path("/proc/self/environ")):
        assert path.exists()
        assert "FileNotFoundError" in failure(hostile, f"int(open({str(path)!r}).read())")
    walk = "[f for d, _, fs in __import__('os').walk('/') for f in fs if '/lib/python3' not in d]"
    assert value(hostile, f"len({walk})") == 0
    packages = "[d for d, _, fs in __import__('os').walk('/') if fs and 'site-packages' in d]"
    assert value(hostile, f"len({packages})") == 0


def test_nothing_can_be_written(hostile: Sandbox):
    library = os.path.realpath(os.__file__)
    for path in ("/x", "/tmp/x", library, library + ".x"):
        said = failure(hostile, f"open({path!r}, 'w').write('x')")
        assert "Error: " in said, path
        assert any(why in said for why in ("Read-only", "No such file", "denied")), said
    memory = "__import__('os').write(__import__('os').memfd_create('x'), b'x')"
    assert value(hostile, "signal.SIGXFSZ if (signal := __import__('signal')) else 0") > 0
    assert "File too large" in failure(hostile, memory)


def test_the_environment_is_empty(hostile: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "42")
    names = "set(__import__('os').environ) - {'LC_CTYPE'}"  # which Python sets by itself
    assert value(hostile, f"len({names})") == 0


def test_the_grader_runs_as_nobody_and_cannot_change_it(hostile: Sandbox):
    assert value(hostile, "__import__('os').getuid()") == 65534
    assert value(hostile, "__import__('os').getpid()") == 1
    assert "Operation not permitted" in failure(hostile, "__import__('os').setuid(0)")
    new_user = "__import__('ctypes').CDLL(None).unshare(0x10000000)"
    assert value(hostile, new_user) == -1
    mount = "__import__('ctypes').CDLL(None).mount(b'x', b'/', b'tmpfs', 0, None)"
    assert value(hostile, mount) == -1
    no_new_privileges = "__import__('ctypes').CDLL(None).prctl(39, 0, 0, 0, 0)"
    assert value(hostile, no_new_privileges) == 1


def test_processes_and_memory_are_bounded(hostile: Sandbox):
    assert "BlockingIOError" in failure(hostile, "__import__('os').fork()")
    thread = "__import__('threading').Thread(target=print).start()"
    assert "can't start new thread" in failure(hostile, thread)
    assert "MemoryError" in failure(hostile, "len(bytearray(2 << 30))")
    assert "MemoryError" in failure(hostile, "len([0] * (1 << 30))")
    assert value(hostile, "1 + 1") == 2.0


def test_a_grader_that_ends_its_process_gets_a_new_one(hostile: Sandbox):
    assert failure(hostile, "__import__('os')._exit(0)") == "its process ended without an answer"
    assert failure(hostile, "__import__('sys').exit()").startswith("SystemExit")
    assert value(hostile, "7") == 7.0


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero (line 3 of source)"),
        ("'1'", "grade returned str, not a number"),
        ("None", "grade returned NoneType, not a number"),
        ("(lambda f: f(f))(lambda f: f(f))", "RecursionError: "),
        ("__import__('numpy')", "ModuleNotFoundError: No module named 'numpy'"),
    ],
)
def test_a_graders_errors_are_reported(hostile: Sandbox, run: str, said: str):
    assert failure(hostile, run).startswith(said)


def test_a_grader_cannot_send_more_than_a_number(hostile: Sandbox):
    flood = "[__import__('os').write(fd, b'[' * 200_000) for fd in range(3, 9)]"
    assert "its process" in failure(hostile, flood) or "OSError" in failure(hostile, flood)
    assert value(hostile, "1") == 1.0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import numpy\ndef grade(sample, item): return 1", "No module named 'numpy' (line 1"),
        ("def grade(sample, item): return 1\nraise SystemExit", "SystemExit (line 2"),
        ("def grade(sample, item): return 1\nbreak", "SyntaxError: 'break' outside loop"),
    ],
)
def test_a_source_that_cannot_be_loaded_is_reported_at_the_start(source: str, said: str):
    with pytest.raises(RunError, match="'python' cannot be loaded") as refused:
        Scorer(
            rewards({"type": "python", "source": source}), Scoring(processes=1), allow_python=True
        )
    assert said in refused.value.message


def scorer(source: str) -> Scorer:
    chosen = rewards({"type": "python", "source": source})
    return Scorer(chosen, Scoring(seconds=5, processes=1), allow_python=True)


def test_endless_loops_and_bombs_are_failures_of_their_completion_alone():
    before = children()
    orders: dict[str, Any] = {
        "1": None,
        "any(False for _ in iter(int, 1))": "it took longer than 5 s",
        "[*iter(lambda: bytearray(1 << 28), 0)]": "MemoryError (line 3 of source)",
        "[__import__('os').fork() for _ in range(99)]": "BlockingIOError",
        "float('nan')": "its score is nan",
        "0.5": None,
    }
    with closing(scorer(RUNNER)) as opened:
        scored = opened.score([candidate("", "", run=run) for run in orders])
    for score, said in zip(scored, orders.values(), strict=True):
        if said is None:
            assert isinstance(score, Score)
        else:
            assert isinstance(score, ScoreFailure)
            assert score.cause.startswith(said), score
    wait_until(lambda: children() == before)


def test_a_sandbox_dies_with_the_process_it_belongs_to():
    before = children()
    with closing(scorer(RUNNER)) as opened:
        opened.score([candidate("", "", run="1")])
        started = set(children()) - set(before)
        scoring_process = max(started, key=lambda pid: len(children(pid)))
        inside = children(scoring_process)
        assert len(inside) == 2  # the one that waits, and the first of its own namespace
        os.kill(scoring_process, 9)
        wait_until(lambda: all(gone(pid) for pid in inside))


USER_AND_FILES = """
import sys
from sandbox import Sandbox
source = '''
import os
def grade(sample, item):
    return os.getuid() + len([d for d in ("/etc", "/home", "/tmp", "/proc") if os.path.exists(d)])
'''
print(Sandbox(source).grade({}, {}))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="the other tests are an ordinary user's")
def test_an_ordinary_user_has_the_same_sandbox():
    python = shutil.which("python3", path="/usr/bin")
    if python is None:
        pytest.skip("there is not valid Python that another user can start")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for file in Path(sandbox.__file__).parent.glob("*.py"):
            shutil.copy(file, folder)
        said = subprocess.run(
            [python, "-B", "-c", USER_AND_FILES],
            cwd=folder,
            user=12345,
            group=12345,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
    assert said.stdout == "65534.0\n", said.stderr


WITHOUT_NAMESPACES = """
import sys
from tests.training.test_sandbox import RUNNER, scorer
from grpo.errors import RunError

if __name__ == "__main__":
    try:
        scorer(RUNNER)
    except RunError as error:
        print(error.code, error.message, error.hint)
"""


def test_a_machine_that_cannot_isolate_refuses_to_start(tmp_path: Path):
    program = tmp_path / "refused.py"
    program.write_text(WITHOUT_NAMESPACES)
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    said = subprocess.run(
        ["unshare", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.startswith("sandbox_unavailable this machine cannot isolate"), said.stderr
    assert "unshare: No space left on device" in said.stdout  # the kernel's word for the limit
    assert "user namespaces" in said.stdout
