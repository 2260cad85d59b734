"""`python -m tests.bare`: README's commands on a Debian that has only the packages it names.

The user is an ordinary one and has no home folder.  Of `make test` it runs the installation, the
collection, tests/unit, and one file of each other kind.
"""

import re
import subprocess
import sys
from functools import partial

from tests.bare.machine import ROOT, BareMachine, CommandFailed
from tests.report import Report

INSTALLS = "Debian takes the packages that README.md names"
DEMO = "`make demo` as an ordinary user teaches the policy"
DEVELOPS = "what `make test` needs is installed as an ordinary user"
COLLECTS = "every test is collected"
UNIT = "tests/unit passes as an ordinary user"
TEST_NEEDS = ("chromium", "gcc", "libc6-dev")
"""CONTRIBUTING.md names them: a browser and a C compiler."""
PREREQUISITES = ".venv/bin/.installed-dev build/openai-oldest build/openai-newest"
ONE_OF_EACH_KIND = (
    "tests/parity/test_transformers.py",
    "tests/service/test_up.py",
    "tests/service/store/test_leases.py",
    "tests/service/api/test_submission.py",
    "tests/service/worker/test_supervisor.py",
    "tests/training/test_run.py",
    "tests/training/test_sandbox.py",
    "tests/faults/test_own_services.py",
    "tests/contract/test_openapi.py",
    "tests/browser/test_signing_in.py",
    "tests/endtoend/test_failures.py",
)


def main() -> int:
    failures = (CommandFailed, subprocess.CalledProcessError)
    report = Report(failures=failures, say=partial(print, flush=True))
    missing = BareMachine.missing()
    if missing:
        report.leave_out("README.md's commands on a bare Debian", missing)
        return report.exit_code
    machine = BareMachine()
    try:
        _measure(machine, report)
    finally:
        machine.remove()
    report.leave_out("all of `make test` as an ordinary user", "one file of each kind was run")
    return report.exit_code


def _measure(machine: BareMachine, report: Report) -> None:
    report.measure(INSTALLS, lambda: machine.install(packages_of_the_readme()))
    report.measure(DEMO, lambda: _demo(machine), needs=[INSTALLS])
    report.measure(DEVELOPS, lambda: _develop(machine), needs=[INSTALLS])
    report.measure(COLLECTS, lambda: _pytest(machine, "--collect-only -qq"), needs=[DEVELOPS])
    report.measure(UNIT, lambda: _pytest(machine, "tests/unit -n 2"), needs=[COLLECTS])
    for path in ONE_OF_EACH_KIND:
        report.measure(f"{path} passes", lambda path=path: _pytest(machine, path), needs=[COLLECTS])


def packages_of_the_readme() -> list[str]:
    """Return what README.md says to install on Debian."""
    [found] = re.findall(r"`apt install ([^`]+)`", (ROOT / "README.md").read_text())
    return found.split()


def _demo(machine: BareMachine) -> None:
    shown = machine.run("make demo")
    [gained] = re.findall(r"\(\+([\d.]+) points\)", shown)
    assert float(gained) >= 30, shown[-2000:]


def _develop(machine: BareMachine) -> None:
    machine.add(TEST_NEEDS)
    machine.run(f"make {PREREQUISITES}")


def _pytest(machine: BareMachine, arguments: str) -> None:
    machine.run(f"OMP_NUM_THREADS=1 .venv/bin/pytest -q {arguments}")


if __name__ == "__main__":
    sys.exit(main())
