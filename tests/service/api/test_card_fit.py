"""A job whose trainer and engine no GPU of its queue could hold is refused when it is submitted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from store import workers
from store.database.database import Database
from store.ids import new_id
from store.workers import Gpu, Machine

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
            machine=Machine(gpus=gpus, versions=versions),
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
    refused = ["/rollout/gpu_memory_fraction"]
    assert pointers(http, model=model) == []  # no worker is there to compare with
    enrol(database, [24, 80])
    assert pointers(http, model=model) == refused
    assert pointers(http, model=model, resources={"gpus": 0}) == []
    assert pointers(http, model={"source": "owner/name"}) == []  # of unknown size
    enrol(database, [140])  # 91 GB and 0.4 of 140 GB are more than 140 GB
    assert pointers(http, model=model) == refused
    assert pointers(http, model=model, rollout={"gpu_memory_fraction": 0.3}) == []
    assert pointers(http, model=model, optimizer={"name": "adamw_8bit"}) == []
    assert pointers(http, model={**model, "lora": {"rank": 16}}) == []


def test_a_gpu_of_unknown_memory_refuses_nothing(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    enrol(database, [None, 24])
    assert pointers(http, model=model) == []


def test_a_worker_without_vllm_whose_engine_sleeps_in_the_hosts_memory_refuses_nothing(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    enrol(database, [24], versions={"torch": "2.13.0"})
    assert pointers(http, model=model) == []
    enrol(database, [24])  # either worker may take the job
    assert pointers(http, model=model) == []


def test_the_gpus_of_other_queues_do_not_count(
    http: httpx.Client, database: Database, model: dict[str, Any]
):
    enrol(database, [24])
    enrol(database, [1000], queue="large")
    assert pointers(http, model=model) != []
    assert pointers(http, model=model, resources={"queue": "large"}) == []
