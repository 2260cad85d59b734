"""One attempt, with a real store and a scripted trainer."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from grpo.data.inspection import Inspection
from store import files
from store.artifacts.folder import FolderArtifacts
from store.ids import encode, new_id
from store.tables import Job
from tests.service.worker.attempt_records import attempt_of, checkpoints_of, kinds
from tests.service.worker.conftest import Desk
from tests.waiting import wait_until
from worker.context import WorkerContext


def test_the_trainers_records_are_the_jobs_log_in_order(desk: Desk):
    desk.submit("step save step complete")
    job = desk.run()
    assert job.status == "succeeded"
    found = kinds(desk, job)
    # An upload takes the time that it takes, so a checkpoint stands somewhere behind its step.
    assert found.index(("metric", 1)) < found.index(("checkpoint", 1))
    assert found.index(("metric", 2)) < found.index(("checkpoint", 2))
    assert [entry for entry in found if entry[0] != "checkpoint"] == [
        ("status", None),
        ("status", None),
        ("metric", 1),
        ("metric", 2),
        ("end", 2),
        ("status", None),
    ]
    assert [record.seq for record in desk.records(job.id)] == list(range(1, 9))


@pytest.mark.parametrize("allowed", [False, True])
def test_a_trainer_may_run_code_of_a_spec_only_where_the_worker_may(desk: Desk, allowed: bool):
    settings = desk.context.settings.model_copy(update={"allow_python_rewards": allowed})
    desk.context = replace(desk.context, settings=settings)
    desk.submit("python complete")
    said = [one.payload for one in desk.records(desk.run().id) if one.kind == "message"]
    assert said == [{"text": f"python rewards allowed: {allowed}"}]


def test_a_checkpoint_is_listed_once_its_files_are_in_the_artifact_store(desk: Desk):
    desk.submit("step save step complete")
    job = desk.run()
    first, last = sorted(checkpoints_of(desk, job), key=lambda checkpoint: checkpoint.step)
    assert (first.step, first.final) == (1, False)
    assert (last.step, last.final) == (2, True)
    assert last.key == f"jobs/{encode('job', job.id)}/attempt-1/step-2"
    desk.context.artifacts.verify(last.key, last.manifest)
    folder = desk.stored(last.key)
    assert (folder / "model.safetensors").read_text() == "weights after step 2"
    stored = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {file["path"]: file["bytes"] for file in last.manifest["files"]} == stored
    assert stored.keys() == {"model.safetensors", "manifest.json"}
    assert last.bytes == sum(stored.values())


def test_older_checkpoints_leave_the_list_and_the_artifact_store(desk: Desk):
    desk.submit("step save step save step save step complete", checkpoints={"keep_last": 2})
    job = desk.run()
    assert job.status == "succeeded"
    assert [checkpoint.step for checkpoint in checkpoints_of(desk, job)] == [3, 4]
    folder = desk.stored(f"jobs/{encode('job', job.id)}/attempt-1")
    assert sorted(path.name for path in folder.glob("step-*")) == ["step-3", "step-4"]


class SlowArtifacts(FolderArtifacts):
    """A store that takes longer for a checkpoint, and for its removal, than a lease lasts."""

    def put_folder(self, local: Path, key: str) -> None:
        time.sleep(4)
        super().put_folder(local, key)

    def delete(self, key: str) -> None:
        time.sleep(4)
        super().delete(key)


def test_neither_an_upload_nor_a_removal_holds_up_a_sync(desk: Desk):
    desk.context = replace(
        desk.context, artifacts=SlowArtifacts(desk.context.settings.artifacts_url)
    )
    assert desk.context.settings.lease_seconds < 4
    desk.submit("step save step complete", checkpoints={"keep_last": 1})
    job = desk.run()
    assert (job.status, job.attempt, job.failures) == ("succeeded", 1, 0)
    assert [checkpoint.step for checkpoint in checkpoints_of(desk, job)] == [2]
    assert not desk.stored(f"jobs/{encode('job', job.id)}/attempt-1/step-1").exists()


def test_the_log_and_the_rollouts_are_kept_in_the_artifact_store(desk: Desk):
    desk.submit("step rollouts crash", resources={"max_failures": 1})
    job = desk.run()
    key = f"jobs/{encode('job', job.id)}/attempt-1"
    assert "its last words" in (desk.stored(f"{key}/log.txt")).read_text()
    rollouts = desk.stored(f"{key}/rollouts/step-000001.jsonl.zst")
    assert rollouts.read_bytes() == b"rollouts"


def test_a_crashed_trainers_job_waits_for_its_next_attempt(desk: Desk):
    job_id = desk.submit("step save step crash")
    job = desk.run()
    assert (job.status, job.attempt, job.failures) == ("queued", 1, 1)
    attempt = attempt_of(desk, job)
    assert attempt.exit_signal == 9
    assert attempt.error is not None
    assert attempt.error["code"] == "trainer_crashed"
    assert "SIGKILL" in attempt.error["message"]

    job = desk.run()
    assert job.id == job_id
    assert attempt_of(desk, job, 2).resumed_from_step == 1
    resumed = [record for record in desk.records(job.id) if record.kind == "resumed"]
    assert [(record.attempt, record.payload) for record in resumed] == [(2, {"from_step": 1})]


def test_crashes_without_progress_end_the_job_with_a_code_a_hint_and_the_log(desk: Desk):
    desk.submit("step crash", resources={"max_failures": 2})
    assert desk.run().status == "queued"
    job = desk.run()
    assert (job.status, job.failures) == ("failed", 2)
    assert job.error is not None
    assert job.error["code"] == "trainer_crashed"
    assert "memory" in job.error["hint"]
    assert job.error["log_tail"] == "its last words\n"


def test_an_exit_without_an_end_record_names_its_code_and_the_last_line_of_the_log(desk: Desk):
    desk.submit("quit", resources={"max_failures": 1})
    job = desk.run()
    assert job.error is not None
    assert "exited with code 3" in job.error["message"]
    assert "its log is empty" in job.error["message"]
    assert attempt_of(desk, job).exit_code == 3


def test_a_spec_that_the_trainer_refuses_fails_at_once_with_the_reason(desk: Desk):
    desk.submit("refuse", resources={"max_failures": 3})
    job = desk.run()
    assert (job.status, job.attempt) == ("failed", 1)
    assert job.error is not None
    assert job.error["code"] == "spec_refused"
    assert "grpo: data.train: no such file" in job.error["message"]


def test_an_error_that_no_retry_fixes_fails_the_job_at_once(desk: Desk):
    desk.submit("step fail")
    job = desk.run()
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "bad_data"
    assert job.error["hint"] == "Mend it."


def test_half_a_line_of_a_dying_trainer_is_left_out(desk: Desk):
    desk.submit("step torn crash")
    job = desk.run()
    assert [record.kind for record in desk.records(job.id)] == ["status"] * 2 + ["metric", "status"]


def test_a_trainer_that_writes_no_records_at_all_is_ended(desk: Desk):
    desk.submit("garbage hang", resources={"max_failures": 1})
    job = desk.run()
    assert job.status == "failed"
    assert job.error is not None
    error = job.error["code"], job.error["message"]
    assert error == ("worker_error", "the worker failed with ValueError")  # the log has its text


def test_a_checkpoint_that_cannot_be_copied_ends_the_attempt_with_its_reason(
    desk: Desk, context: WorkerContext
):
    root = desk.stored("jobs")
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("a file where a folder should be")
    desk.submit("step save hang", resources={"max_failures": 1})
    job = desk.run()
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "upload_failed"


def test_files_and_checkpoints_reach_the_trainer_as_paths(
    desk: Desk, context: WorkerContext, tmp_path: Path
):
    content = tmp_path / "rows.jsonl"
    content.write_text('{"question": "1+1=", "answer": "2"}\n')
    file_id = new_id()
    context.artifacts.put_file(content, files.artifact_key(file_id))
    with context.database.session() as session:
        files.create(
            session,
            file_id=file_id,
            project_id=desk.project.id,
            key_id=desk.key.id,
            name="rows.jsonl",
            bytes=36,
            sha256="0" * 64,
            inspection=Inspection(1, {"question": None, "answer": None}),
        )
    desk.submit("step complete")
    first = desk.run()
    (checkpoint,) = checkpoints_of(desk, first)

    desk.submit(
        "step complete",
        data={"train": encode("file", file_id), "eval": "arithmetic-heldout"},
        model={"source": encode("ckpt", checkpoint.id)},
    )
    second = desk.run()
    assert second.status == "succeeded"
    folder = context.settings.runs_dir / encode("job", second.id) / "attempt-0001"
    spec = json.loads((folder / "spec.json").read_text())
    assert Path(spec["data"]["train"]).read_text() == content.read_text()
    assert spec["data"]["eval"] == "arithmetic-heldout"
    assert Path(spec["model"]["source"]) == desk.stored(checkpoint.key)
    assert second.spec["data"]["train"] == encode("file", file_id)


def test_a_checkpoint_that_is_gone_fails_the_job_with_what_to_do(desk: Desk):
    job_id = desk.submit("step complete")
    with desk.context.database.session() as session:  # as after the checkpoint's removal
        job = session.get_one(Job, job_id)
        job.spec = {**job.spec, "model": {**job.spec["model"], "source": encode("ckpt", new_id())}}
    job = desk.run()
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "input_missing"


def test_an_attempt_ends_as_soon_as_its_trainer_does(desk: Desk):
    def seconds() -> float:
        desk.submit("step complete")
        begun = time.monotonic()
        desk.run()
        return time.monotonic() - begun

    wait_until(lambda: seconds() < 3)  # and not a lease, or a poll, later
