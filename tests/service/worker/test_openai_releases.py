"""The whole flow with OpenAI's client, from the oldest release that is supported to the newest."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database.database import Database
from store.settings import Settings
from tests.service.api import openai_flow
from tests.service.api.conftest import make_key, serving
from tests.waiting import deadline
from worker.claim_loop import ClaimLoop
from worker.context import WorkerContext
from worker.slots import Slots, slots_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def address(settings: Settings, context: WorkerContext) -> Iterator[str]:
    """An API and a worker with a scripted trainer."""
    claim_loop = ClaimLoop(context, Slots(slots_for(())))
    worker = threading.Thread(target=claim_loop.poll)
    worker.start()
    with serving(settings) as url:
        yield url
    context.stopping.set()
    worker.join()


@pytest.mark.parametrize("release", ["oldest", "newest"])
def test_upload_train_follow_download(address: str, database: Database, release: str):
    installed = ROOT / "build" / f"openai-{release}"
    assert installed.is_dir(), f"run `make build/openai-{release}`"
    key = make_key(database, "ours", "read", "submit")
    done = subprocess.run(
        [sys.executable, openai_flow.__file__, address, key],
        env={**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=deadline(120),
    )
    assert done.returncode == 0, done.stderr
    trained = {
        "status": "succeeded",
        "step": 1,
        "weights": "weights after step 1",
        "first": "The job is queued: submitted",
        "last": "The job is succeeded",
    }
    assert json.loads(done.stdout) == {
        "version": pinned(release),
        "rewards": [0.0, 0.5],
        "trained": [trained, trained],
        "steered": ["paused", "queued", "cancelled"],
        "refused": ["seed", "not_found", "key_invalid"],
        "content": True,
        "files": ["rows.jsonl"],
        "jobs": 3,
        "deleted": True,
    }


def pinned(release: str) -> str:
    written = (ROOT / "requirements" / f"openai-{release}.txt").read_text()
    [version] = re.findall(r"^openai==(.+)$", written, re.MULTILINE)
    return version


def test_the_guide_names_the_releases_that_are_tested():
    guide = (ROOT / "docs" / "openai.md").read_text()
    assert f"{pinned('oldest')} to {pinned('newest')}" in guide
