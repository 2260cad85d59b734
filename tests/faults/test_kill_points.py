"""kill -9 of the trainer at each critical point: the job succeeds with the exact result."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from store.artifacts.folder import FolderArtifacts
from store.ids import encode
from store.tables import Job
from tests.faults.conftest import FAST, Fleet, Unbroken
from tests.faults.dying_trainer import last_words
from tests.faults.outcome import assert_right_end

SCRIPT = Path(__file__).with_name("dying_worker.py")
TWELVE_STEPS = {**FAST, "budget": {"max_steps": 12}}  # with checkpoints at 4, 8 and 12
VLLM = {**TWELVE_STEPS, "rollout": {"engine": "vllm", "max_tokens": 24}}
UNFINISHED, WHOLE = ".step-000008.tmp", "step-000008"
BY_THE_WORKER = "step-000004"
"""Point after a checkpoint is complete; the worker removes it once registered."""
LONG = pytest.mark.nightly


def die(fleet: Fleet, point: str, spec: Mapping[str, Any]) -> UUID:
    fleet.start_worker(script=SCRIPT)
    return fleet.submit({**spec, "labels": {"dies": point}})


def assert_killed_once(
    fleet: Fleet, job_id: UUID, unbroken: Unbroken, *, resumed_from: int | None
) -> list[str]:
    """Assert the right end after two attempts; return the files at the kill."""
    job = assert_right_end(fleet, job_id, unbroken)
    killed, last = fleet.attempts(job_id)
    assert (killed.outcome, killed.exit_signal) == ("failed", signal.SIGKILL), fleet.logs()
    assert last.resumed_from_step == resumed_from
    assert_nothing_left(fleet, job)
    words = last_words(fleet.settings.runs_dir / encode("job", job_id))
    return [name for name in words if not name.startswith(BY_THE_WORKER)]


def assert_nothing_left(fleet: Fleet, job: Job) -> None:
    """Assert that the artifact store has exactly the registered checkpoints."""
    name = encode("job", job.id)
    artifacts = FolderArtifacts(fleet.settings.artifacts_url)
    listed = fleet.checkpoints(job.id)
    for checkpoint in listed:
        artifacts.verify(checkpoint.key, checkpoint.manifest)
    stored = {
        f"jobs/{name}/{attempt}/{entry}"
        for attempt in artifacts.names(f"jobs/{name}")
        for entry in artifacts.names(f"jobs/{name}/{attempt}")
    }
    kept = {key for key in stored if not key.endswith(("/log.txt", "/rollouts"))}
    assert kept == {checkpoint.key for checkpoint in listed}
    assert list((fleet.settings.runs_dir / name).glob("*/checkpoints/*")) == []


@pytest.mark.parametrize(
    ("point", "spec", "resumed_from"),
    [
        pytest.param("before the engine", TWELVE_STEPS, None, marks=LONG),
        pytest.param("in a rollout", TWELVE_STEPS, 4, marks=LONG),
        pytest.param("in a rollout of vLLM", VLLM, 4, marks=LONG),
        pytest.param("in a backward pass", TWELVE_STEPS, 4, marks=LONG),
    ],
)
def test_killed_between_two_checkpoints_it_resumes_from_the_last(
    fleet: Fleet,
    unbroken: Unbroken,
    point: str,
    spec: Mapping[str, Any],
    resumed_from: int | None,
):
    job_id = die(fleet, point, spec)
    assert assert_killed_once(fleet, job_id, unbroken, resumed_from=resumed_from) == []


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("in a checkpoint's files", marks=LONG),
        pytest.param("before a checkpoint's rename"),
    ],
)
def test_a_checkpoint_that_was_not_renamed_does_not_exist(
    fleet: Fleet, unbroken: Unbroken, point: str
):
    job_id = die(fleet, point, TWELVE_STEPS)
    left = assert_killed_once(fleet, job_id, unbroken, resumed_from=4)
    assert f"{UNFINISHED}/model.safetensors" in left
    complete = point == "before a checkpoint's rename"
    assert (f"{UNFINISHED}/manifest.json" in left) is complete
    assert not any(name.startswith(WHOLE) for name in left)


@pytest.mark.parametrize(
    ("point", "resumed_from"),
    [
        pytest.param("after a checkpoint's rename", 4, marks=LONG),
        pytest.param("after a checkpoint's notice", 8, marks=LONG),
    ],
)
def test_a_checkpoint_counts_once_the_trainer_has_recorded_it(
    fleet: Fleet, unbroken: Unbroken, point: str, resumed_from: int
):
    """Once recorded, it is registered although its trainer is dead; else it is made again."""
    job_id = die(fleet, point, TWELVE_STEPS)
    left = assert_killed_once(fleet, job_id, unbroken, resumed_from=resumed_from)
    assert f"{WHOLE}/manifest.json" in left
    assert not any(name.startswith(UNFINISHED) for name in left)
