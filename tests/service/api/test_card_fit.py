"""A job whose trainer and engine no GPU of its queue could hold is refused when it is submitted."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from store import workers
from store.database.database import Database
from store.ids import decode, encode, new_id
from store.tables import Job
from store.workers import Gpu, Machine
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit

GIB = 2**30
QWEN_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
    "max_position_embeddings": 131072,
}


VLLM = {"vllm": "0.32.0"}


def enrol(
    database: Database,
    memories: Sequence[int | None],
    queue: str = "default",
    versions: dict[str, str] = VLLM,
    memory_gib: int | None = None,
) -> None:
    gpus = [Gpu("GPU", None if size is None else size * GIB) for size in memories]
    with database.session() as session:
        workers.register(
            session,
            worker_id=new_id(),
            host="gpu-box",
            boot_id="boot",
            pid=1,
            queues=[queue],
            num_gpus=len(gpus),
            slots=max(1, len(gpus)),
            machine=Machine(
                gpus=gpus,
                versions=versions,
                memory_bytes=None if memory_gib is None else memory_gib * GIB,
            ),
        )


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "config.json").write_text(json.dumps(QWEN_7B))
    return {"source": str(tmp_path)}


def pointers(http: httpx.Client, **spec: Any) -> list[str]:
    answer = http.post("/v1/jobs", params={"validate_only": True}, json=spec)
    if answer.status_code == 200:
        return []
    return [error["pointer"] for error in answer.json()["errors"]]


def test_a_job_that_no_gpu_of_its_queue_holds_is_refused(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    assert pointers(http, model=model) == []  # no worker is there to compare with
    enrol(database, [24, 80])
    assert pointers(http, model=model) == ["/model"]
    assert pointers(http, model=model, resources={"gpus": 0}) == []
    assert pointers(http, model={"source": "owner/name"}) == []  # of unknown size
    enrol(database, [140])
    assert pointers(http, model=model) == ["/model"]
    smaller = {**model, "gradient_checkpointing": True}  # 86 GiB and 0.4 of 140 exceed 140
    assert pointers(http, model=smaller) == ["/rollout/gpu_memory_fraction"]
    assert pointers(http, model=smaller, rollout={"gpu_memory_fraction": 0.3}) == []
    assert pointers(http, model=model, optimizer={"name": "adamw_8bit"}) == []
    assert pointers(http, model={**model, "lora": {"rank": 16}}) == []


def test_a_refusal_names_changes_with_which_the_job_is_accepted(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    enrol(database, [140])
    answer = http.post("/v1/jobs", json={"model": model})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert "(1) set model.gradient_checkpointing: true" in error["detail"]
    assert "rollout.gpu_memory_fraction: 0.38" in error["detail"]
    assert "(3) set model.lora: {rank: 16}" in error["detail"]
    accepted = {
        "model": {**model, "gradient_checkpointing": True},
        "rollout": {"gpu_memory_fraction": 0.38},
    }
    assert pointers(http, **accepted) == []
    estimated = http.post("/v1/estimates", json={"spec": {"model": model}})
    assert estimated.status_code == 422
    assert estimated.json()["errors"][0]["pointer"] == "/spec/model"


def test_a_job_that_is_too_large_for_every_machine_of_its_queue_waits_for_a_gpu(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    def gpus(**spec: Any) -> int:
        job_id = decode("job", submit(http, **spec)["id"])
        with database.session() as session:
            return session.get_one(Job, job_id).gpus

    assert gpus(model=model) == 0  # no worker is there to compare with
    enrol(database, [], memory_gib=16)
    enrol(database, [], memory_gib=24)
    assert gpus() == 0
    assert gpus(model=model) == 1
    assert gpus(model=model, resources={"gpus": 0}) == 0  # as it is written
    assert gpus(model={"source": "owner/name"}) == 0  # of unknown size
    enrol(database, [], memory_gib=1024)
    assert gpus(model=model) == 0
    enrol(database, [], memory_gib=None, queue="another")
    assert gpus(model=model, resources={"queue": "another"}) == 0


def test_a_gpu_of_unknown_memory_refuses_nothing(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    enrol(database, [None, 24])
    assert pointers(http, model=model) == []


def test_without_vllm_the_engine_sleeps_in_the_hosts_memory_and_the_update_alone_must_fit(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    adapter = {**model, "lora": {}, "gradient_checkpointing": True}
    enrol(database, [24], versions={"torch": "2.13.0"})
    assert pointers(http, model=adapter) == []
    assert pointers(http, model=model) == ["/model"]
    enrol(database, [24])  # either worker may take the job
    assert pointers(http, model=adapter) == []


def test_the_gpus_of_other_queues_do_not_count(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    enrol(database, [24])
    enrol(database, [1000], queue="large")
    assert pointers(http, model=model) != []
    assert pointers(http, model=model, resources={"queue": "large"}) == []


def test_a_checkpoint_whose_ancestor_was_deleted_is_trained_forked_and_swept(
    http: httpx.Client, database: Database, claims: Callable[[], Hand], tmp_path: Path
):
    """The shape of its model is unknown, so it is not compared with the worker's GPU."""
    jobs: list[str] = []
    checkpoints: list[str] = []
    for number in range(3):
        source = {"model": {"source": checkpoints[-1]}} if checkpoints else {}
        jobs.append(submit(http, **source)["id"])
        hand = claims()
        hand.step(1)
        made = hand.checkpoint(1, {"model.safetensors": b""}, tmp_path / str(number))
        hand.finish()
        checkpoints.append(encode("ckpt", made))
    assert http.delete(f"/v1/checkpoints/{checkpoints[0]}").status_code == 204
    enrol(database, [80])
    for source in checkpoints[1:]:
        assert submit(http, model={"source": source})["status"] == "queued"
    spec = {"model": {"source": checkpoints[2]}}
    fork = {"checkpoint": checkpoints[2], "overrides": {}}
    for route, body in (
        (f"/v1/jobs/{jobs[2]}/fork", fork),
        ("/v1/sweeps", {"base": spec, "grid": {"seed": [1, 2]}}),
        ("/v1/jobs?validate_only=true", spec),
        ("/v1/estimates", {"spec": spec}),
    ):
        answer = http.post(route, json=body)
        assert answer.status_code in (200, 201), (route, answer.text)
    assert "unknown" in answer.json()["estimates"][0]["memory_unknown"]
    assert pointers(http, model={"source": checkpoints[0]}) == ["/model/source"]
