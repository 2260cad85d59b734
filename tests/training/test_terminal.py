"""A run displayed on a terminal."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from tests.training.runs import ENVIRONMENT, make_tiny_model, small_spec, write_sums
from tests.waiting import deadline

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_the_terminal_shows_only_the_run_and_library_output_is_in_the_log(tmp_path: Path):
    spec = small_spec(make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl"))
    path, out = tmp_path / "spec.json", tmp_path / "run"
    path.write_text(spec.model_dump_json())
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "grpo", "run", str(path), "--out", str(out)],
        stdin=end,
        stdout=end,
        stderr=end,
        env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "80", "TRANSFORMERS_VERBOSITY": "info"},
    )
    os.close(end)
    said = ESCAPES.sub("", everything_from(terminal))
    assert process.wait(timeout=deadline(60)) == 0, said
    for step in range(1, 7):
        assert re.search(rf"step {step}: reward \d\.\d{{3}}, ties \d+%", said)
    assert "saved checkpoints/step-000006" in said
    assert f"curves: {out}/plot.png" in said
    assert (out / "plot.png").read_bytes().startswith(b"\x89PNG")
    words = {line for line in (out / "log.txt").read_text().splitlines() if line.strip()}
    assert words
    assert not words & set(said.splitlines())


def everything_from(terminal: int) -> str:
    """Read until the last process has closed the other end, an error on Linux."""
    said = b""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:
            os.close(terminal)
            return said.decode()
