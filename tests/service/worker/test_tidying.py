"""Removal from the artifact store and from a worker's disk, and files that are kept."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from store.ids import encode, new_id
from store.settings import Settings
from tests.service.worker.conftest import Desk
from tests.waiting import wait_until
from worker.maintenance.cleanup import Cleanup


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"stray_grace_seconds": 600, "runs_keep_days": 1})


def age(path: Path, seconds: float) -> None:
    """Backdate a folder and its contents."""
    then = time.time() - seconds
    for each in [path, *path.rglob("*")]:
        os.utime(each, (then, then))


def put(desk: Desk, key: str, *, seconds_ago: float) -> Path:
    """Store a folder with a file."""
    folder = desk.stored(key)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("weights")
    age(folder, seconds_ago)
    return folder


def test_an_old_checkpoint_folder_without_a_row_is_removed(desk: Desk):
    desk.submit("step save complete")
    job = encode("job", desk.run().id)
    store = desk.stored(f"jobs/{job}/attempt-1")
    age(store, 1000)
    old = put(desk, f"jobs/{job}/attempt-1/step-7", seconds_ago=1000)
    broken_off = put(desk, f"jobs/{job}/attempt-1/.step-8.abc.tmp", seconds_ago=1000)
    young = put(desk, f"jobs/{job}/attempt-1/step-9", seconds_ago=100)
    assert Cleanup(desk.context).remove_stray() == 2
    assert (old.exists(), broken_off.exists(), young.exists()) == (False, False, True)
    assert sorted(path.name for path in store.iterdir()) == ["log.txt", "step-1", "step-9"]


def test_an_interrupted_copy_of_a_rollout_is_removed_and_the_rollouts_stay(desk: Desk):
    desk.submit("step save complete")
    rollouts = put(desk, f"jobs/{encode('job', desk.run().id)}/attempt-1/rollouts", seconds_ago=0)
    for name in ("step-000001.jsonl.zst", ".step-000002.jsonl.zst.abc.tmp"):
        (rollouts / name).write_text("rollouts")
    age(rollouts, 1000)
    assert Cleanup(desk.context).remove_stray() == 1
    assert sorted(path.name for path in rollouts.iterdir()) == [
        "model.safetensors",
        "step-000001.jsonl.zst",
    ]


def test_a_running_attempts_uploads_stay_and_an_ended_ones_go(desk: Desk):
    desk.submit("step hang")
    claim, _ = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    job = encode("job", claim.job_id)
    ended = put(desk, f"jobs/{job}/attempt-0/step-5", seconds_ago=1000)
    running = put(desk, f"jobs/{job}/attempt-{claim.attempt}/step-5", seconds_ago=1000)
    assert Cleanup(desk.context).remove_stray() == 1
    assert (ended.exists(), running.exists()) == (False, True)


def test_the_folder_of_a_job_that_is_not_there_goes_but_not_one_from_before_the_database(
    desk: Desk,
):
    deleted = put(desk, f"jobs/{encode('job', new_id())}", seconds_ago=1000)
    not_ours = put(desk, "jobs/notes", seconds_ago=1000)
    assert Cleanup(desk.context).remove_stray() == 1
    assert (deleted.exists(), not_ours.exists()) == (False, True)

    others = put(desk, f"jobs/{encode('job', new_id())}", seconds_ago=1000)
    with desk.context.database.session() as session:
        session.execute(text("update projects set created_at = now() + interval '1 minute'"))
    assert Cleanup(desk.context).remove_stray() == 0
    assert others.exists()


def test_each_call_removes_a_bounded_number_and_the_next_calls_the_rest(desk: Desk):
    folders = [put(desk, f"jobs/{encode('job', new_id())}", seconds_ago=1000) for _ in range(25)]
    cleanup = Cleanup(desk.context)
    assert [cleanup.remove_stray() for _ in range(3)] == [20, 5, 0]
    assert not any(folder.exists() for folder in folders)


def test_an_old_run_directory_goes_and_what_was_not_uploaded_is_first(desk: Desk):
    desk.submit("step rollouts complete")
    job_id = desk.run().id
    job = encode("job", job_id)
    folder = desk.context.settings.runs_dir / job / "attempt-0001"
    (folder / "log.txt").write_text("what its worker could not upload any more")
    age(folder, 3600)
    assert Cleanup(desk.context).remove_old_runs() == 0
    assert folder.exists()
    age(folder, 2 * 86_400)
    assert Cleanup(desk.context).remove_old_runs() == 1
    assert not folder.parent.exists()
    stored = desk.stored(f"jobs/{job}/attempt-1")
    assert (stored / "log.txt").read_text() == "what its worker could not upload any more"
    assert (stored / "rollouts/step-000001.jsonl.zst").read_bytes() == b"rollouts"


def test_a_running_attempts_directory_stays_however_old(desk: Desk):
    desk.submit("step hang")
    claim, _ = desk.start()
    wait_until(lambda: (desk.folder(claim) / "hangs").exists())
    age(desk.folder(claim), 2 * 86_400)
    assert Cleanup(desk.context).remove_old_runs() == 0
    assert desk.folder(claim).exists()


def test_a_checkpoint_left_by_a_killed_worker_is_removed_at_once(desk: Desk):
    desk.submit("step complete")
    job = encode("job", desk.run().id)
    left = desk.context.settings.runs_dir / job / "attempt-0001" / "checkpoints" / "step-000009"
    left.mkdir(parents=True)
    Cleanup(desk.context).remove_old_runs()
    assert not left.exists()
    assert left.parents[1].exists()


def test_a_run_directory_that_cannot_be_uploaded_stays(desk: Desk):
    desk.submit("step complete")
    job = encode("job", desk.run().id)
    folder = desk.context.settings.runs_dir / job / "attempt-0001"
    (folder / "log.txt").write_text("longer than what is stored")
    stored = desk.stored(f"jobs/{job}/attempt-1/log.txt")
    stored.unlink(missing_ok=True)
    stored.mkdir()  # a file cannot take its place
    age(folder, 2 * 86_400)
    assert Cleanup(desk.context).remove_old_runs() == 0
    assert folder.exists()
