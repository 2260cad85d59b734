"""A model that is not here: said in seconds, by name, with what to do."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grpo.errors import RunError
from grpo.model_source import locate_model
from grpo.spec.model import Model

ASK = """
from grpo.errors import RunError
import grpo.model_source as model_source
from grpo.spec.model import Model
model_source.ANSWER_SECONDS = 1.0
try:
    print(model_source.locate_model(Model(source="someone/some-model")))
except RunError as error:
    print(error.code, error.message, error.hint, sep="\\n")
"""


def ask(endpoint: str, home: Path) -> str:
    """Hub settings are read as its client is imported, so in a process of its own."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_hub_that_never_answers_is_given_up_in_seconds(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        began_at = time.monotonic()
        code, message, hint = ask(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path).split(
            "\n", 2
        )
    assert time.monotonic() - began_at < 60  # most of it imports
    assert code == "model_unusable"
    assert "someone/some-model" in message
    assert "cannot be fetched from the hub" in message
    assert "hf download someone/some-model" in hint


def test_without_the_hub_a_model_downloaded_before_is_used(tmp_path: Path):
    repository = tmp_path / "hub/models--someone--some-model"
    snapshot = repository / "snapshots/0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123")
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_text("{}")
    assert ask("http://127.0.0.1:1", tmp_path).strip() == str(snapshot)


def test_a_path_that_is_not_there_is_not_asked_for_at_the_hub(tmp_path: Path):
    with pytest.raises(RunError, match=f"there is no folder {tmp_path}/nowhere"):
        locate_model(Model(source=str(tmp_path / "nowhere")))
