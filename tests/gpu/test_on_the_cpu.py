"""`make test-gpu` in small sizes on the CPU, so that it works when a GPU is at hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu.part import PARTS
from tests.smollm2 import smollm2
from tests.waiting import deadline

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1000)]


def test_every_part_passes_in_small(tmp_path: Path):
    command = [sys.executable, "-m", "tests.gpu", "--cpu", "--model", str(smollm2())]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=deadline(900),
        check=False,
    )
    report = json.loads((tmp_path / "report.json").read_text())
    outcomes = {part["name"]: (part["outcome"], part["reason"]) for part in report["parts"]}
    unmeasured = {"pretrained"} if "DUET_GSM8K" not in os.environ else set()
    assert {name for name, (outcome, _) in outcomes.items() if outcome != "passed"} == unmeasured, (
        outcomes
    )
    assert list(outcomes) == [part.name for part in PARTS]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == report["parts"]
