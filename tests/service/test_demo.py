"""The demo as run by a new user: one command, no server, no terminal."""

import json
from pathlib import Path

import pytest

from tests.service.duet_process import environment, run_duet


@pytest.mark.timeout(600)
@pytest.mark.nightly
def test_the_demo_teaches_the_policy_and_leaves_its_checkpoint(tmp_path: Path):
    shown = run_duet("demo", "--json", cwd=tmp_path, env=environment(COLUMNS="80"), seconds=580)
    assert shown.returncode == 0, shown.stderr
    facts = json.loads(shown.stdout)
    assert facts["status"] == "succeeded"
    assert facts["overlap"] == 0
    assert 0.25 <= facts["accuracy_before"] <= 0.50
    assert facts["points_gained"] >= 30
    assert (Path(facts["checkpoint"]["path"]) / "model.safetensors").is_file()
    assert "step 16/16  reward " in shown.stderr
    server = json.loads((tmp_path / ".duet" / "server.json").read_text())
    assert set(server) == {"key", "port"}, "the server was stopped"
