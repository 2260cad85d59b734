"""A worker with an artifact store on S3: inputs are fetched completely and in time."""

import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from grpo.data.inspection import Inspection
from store import files
from store.artifacts.artifacts import BLOCK_BYTES
from store.artifacts.s3 import S3Artifacts
from store.ids import encode, new_id
from store.jobs import attempts, checkpoints
from store.tables import Attempt, Checkpoint, Job
from tests.s3 import BUCKET, S3Server
from tests.service.worker.conftest import Desk
from tests.waiting import deadline, wait_until
from worker.context import WorkerContext

URL = f"s3://{BUCKET}/duet"


@pytest.fixture
def context(context: WorkerContext, s3: S3Server) -> WorkerContext:
    return replace(context, artifacts=S3Artifacts(URL, retry_seconds=1))


def attempts_of(desk: Desk, job: Job) -> list[Attempt]:
    with desk.context.database.session() as session:
        return attempts.list_attempts(session, job.id)


def last_error(desk: Desk, job: Job) -> dict[str, Any]:
    error = attempts_of(desk, job)[-1].error
    assert error is not None
    return error


def checkpoints_of(desk: Desk, job: Job) -> list[Checkpoint]:
    with desk.context.database.session() as session:
        return checkpoints.list_checkpoints(session, job.id)


def flip(s3: S3Server, key: str) -> None:
    client = s3.client()
    content = client.get_object(Bucket=BUCKET, Key=f"duet/{key}")["Body"].read()
    client.put_object(Bucket=BUCKET, Key=f"duet/{key}", Body=b"\7" + content[1:])


def test_a_killed_trainers_job_resumes_from_its_checkpoint_on_s3(desk: Desk):
    desk.submit("step save gate crash", resources={"max_failures": 3})
    claim, thread = desk.start()
    job_id = claim.job_id
    wait_until(lambda: checkpoints_of(desk, desk.job(job_id)))
    (desk.folder(claim) / "open").touch()
    thread.join()
    assert desk.job(job_id).status == "queued"
    second, thread = desk.start()
    folder = desk.folder(second)
    written = folder / "records.jsonl"
    wait_until(lambda: written.exists() and written.read_text().splitlines())
    (saved,) = checkpoints_of(desk, desk.job(job_id))[:1]
    fetched = folder / "inputs" / saved.key
    assert (fetched / "model.safetensors").read_text() == "weights after step 1"
    first = json.loads((folder / "records.jsonl").read_text().splitlines()[0])
    assert (first["kind"], first["payload"]) == ("resumed", {"from_step": 1})
    wait_until(lambda: checkpoints_of(desk, desk.job(job_id))[-1].step == 2)
    (folder / "open").touch()
    thread.join()
    assert not (folder / "inputs").exists()
    assert desk.job(job_id).attempt == 2


def test_a_damaged_checkpoint_on_s3_is_stepped_over(desk: Desk, s3: S3Server):
    desk.submit("step save step save crash")
    job = desk.run()
    first, last = checkpoints_of(desk, job)
    flip(s3, f"{last.key}/model.safetensors")
    job = desk.run()
    assert (job.status, job.failures) == ("queued", 1)
    assert last_error(desk, job)["code"] == "checkpoint_damaged"
    desk.run()
    assert attempts_of(desk, job)[-1].resumed_from_step == first.step


def test_files_and_checkpoints_are_fetched_for_the_trainer(
    desk: Desk, context: WorkerContext, tmp_path: Path
):
    content = tmp_path / "rows.jsonl"
    content.write_text('{"question": "1+1=", "answer": "2"}\n')
    file_id = upload(desk, content)
    desk.submit("step complete")
    (checkpoint,) = checkpoints_of(desk, desk.run())
    desk.submit(
        "step gate complete",
        data={"train": encode("file", file_id), "eval": "arithmetic-heldout"},
        model={"source": encode("ckpt", checkpoint.id)},
    )
    claim, thread = desk.start()
    folder = desk.folder(claim)
    wait_until((folder / "records.jsonl").exists)
    spec = json.loads((folder / "spec.json").read_text())
    assert Path(spec["data"]["train"]).read_text() == content.read_text()
    weights = Path(spec["model"]["source"]) / "model.safetensors"
    assert weights.read_text() == "weights after step 1"
    (folder / "open").touch()
    thread.join()
    assert not weights.exists()


def test_an_adapters_base_is_fetched_with_it_and_named_where_it_lies(desk: Desk, tmp_path: Path):
    desk.submit("step complete")
    (base,) = checkpoints_of(desk, desk.run())
    desk.submit("step complete", model={"source": encode("ckpt", base.id)})
    (adapter,) = checkpoints_of(desk, desk.run())
    config = tmp_path / "adapter_config.json"
    config.write_text('{"r": 8, "base_model_name_or_path": "/on/another/machine"}')
    desk.context.artifacts.put_file(config, f"{adapter.key}/{config.name}")
    listed = {
        "path": config.name,
        "bytes": config.stat().st_size,
        "sha256": hashlib.sha256(config.read_bytes()).hexdigest(),
    }
    with desk.context.database.session() as session:
        row = session.get_one(Checkpoint, adapter.id)
        row.manifest = {**row.manifest, "files": [*row.manifest["files"], listed]}
    desk.submit("step gate complete", model={"source": encode("ckpt", adapter.id)})
    claim, thread = desk.start()
    folder = desk.folder(claim)
    wait_until((folder / "records.jsonl").exists)
    spec = json.loads((folder / "spec.json").read_text())
    fetched = json.loads((Path(spec["model"]["source"]) / config.name).read_text())
    assert fetched == {"r": 8, "base_model_name_or_path": str(folder / "inputs" / base.key)}
    assert (folder / "inputs" / base.key / "model.safetensors").is_file()
    (folder / "open").touch()
    thread.join()


def test_a_damaged_file_ends_the_job_with_what_to_do(desk: Desk, s3: S3Server, tmp_path: Path):
    content = tmp_path / "rows.jsonl"
    content.write_text('{"question": "1+1=", "answer": "2"}\n')
    file_id = upload(desk, content)
    flip(s3, files.artifact_key(file_id))
    desk.submit("step complete", data={"train": encode("file", file_id)})
    job = desk.run()
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], "damaged" in job.error["message"]) == ("input_missing", True)


def test_a_store_that_is_away_costs_an_attempt_and_no_step(desk: Desk, s3: S3Server):
    desk.submit("step save crash", resources={"max_failures": 9})
    desk.run()
    s3.line.cut()
    job = desk.run()
    error = last_error(desk, job)
    assert (job.status, job.attempt, error["code"]) == ("queued", 2, "download_failed")
    assert "ARTIFACTS_URL" in error["hint"]
    assert not names_the_store(error, s3)
    s3.line.join()
    job = desk.run()
    assert attempts_of(desk, job)[-1].resumed_from_step == 1


def test_an_upload_to_a_store_that_is_away_ends_the_attempt_with_its_reason(
    desk: Desk, s3: S3Server
):
    desk.submit("step gate save hang", resources={"max_failures": 1})
    claim, thread = desk.start()
    wait_until((desk.folder(claim) / "records.jsonl").exists)
    s3.line.cut()
    (desk.folder(claim) / "open").touch()
    thread.join()
    job = desk.job(claim.job_id)
    assert (job.status, checkpoints_of(desk, job)) == ("failed", [])
    assert job.error is not None
    assert job.error["code"] == "upload_failed"
    assert "ARTIFACTS_URL" in job.error["hint"]
    assert not names_the_store(job.error, s3)


def names_the_store(error: dict[str, Any], s3: S3Server) -> bool:
    """Whether a job's error, which is its project's to read, tells where the store is."""
    return any(place in str(error) for place in ("s3://", "127.0.0.1", str(s3.line.port)))


class SlowLine(S3Artifacts):
    """A store whose every block waits at a gate."""

    gate = threading.Event()

    def read(self, key: str, start: int, end: int) -> bytes:
        self.gate.wait(deadline(20))
        return super().read(key, start, end)


@pytest.mark.parametrize("end", ["fetched", "cancelled"])
def test_a_long_fetch_keeps_the_lease_and_obeys_a_cancel(desk: Desk, tmp_path: Path, end: str):
    content = tmp_path / "rows.jsonl"
    content.write_bytes(b"{}\n" * BLOCK_BYTES)
    file_id = upload(desk, content)
    slow = SlowLine(URL, retry_seconds=1)
    slow.gate = threading.Event()
    desk.context = replace(desk.context, artifacts=slow)
    desk.submit("step complete", data={"train": encode("file", file_id)})
    claim, thread = desk.start()
    expiry = desk.job(claim.job_id).lease_expires_at
    assert expiry is not None
    wait_until(lambda: (desk.job(claim.job_id).lease_expires_at or expiry) > expiry)
    if end == "cancelled":
        desk.cancel(claim.job_id, kill=False)
        thread.join()
    slow.gate.set()
    thread.join()
    job = desk.job(claim.job_id)
    assert (job.status, job.attempt) == ("succeeded" if end == "fetched" else "cancelled", 1)
    assert not (desk.folder(claim) / "inputs" / files.artifact_key(file_id)).exists()


def upload(desk: Desk, content: Path) -> UUID:
    file_id = new_id()
    written = content.read_bytes()
    desk.context.artifacts.put_file(content, files.artifact_key(file_id))
    with desk.context.database.session() as session:
        files.create(
            session,
            file_id=file_id,
            project_id=desk.project.id,
            key_id=desk.key.id,
            name="rows.jsonl",
            bytes=len(written),
            sha256=hashlib.sha256(written).hexdigest(),
            inspection=Inspection(1, {"question": None, "answer": None}),
        )
    return file_id
