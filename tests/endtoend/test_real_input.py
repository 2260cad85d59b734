"""GSM8K through every component: real text, real lengths, Unicode."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.endtoend.conftest import Stack

GSM8K = os.environ.get("DUET_GSM8K")


@pytest.mark.skipif(GSM8K is None, reason="DUET_GSM8K is not set to a folder with train.jsonl")
def test_a_job_trains_on_gsm8k_with_the_answer_after_the_hashes(stack: Stack):
    path = Path(str(GSM8K)) / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    file = stack.upload(path)
    assert file["num_rows"] == len(rows) == 7473

    job = stack.submit(
        {
            "name": "GSM8K, zwei Würfe, 两次",
            "model": {"source": "tiny-arithmetic"},
            "data": {"train": file["id"], "answer_after": "####", "max_prompt_tokens": 1024},
            "rewards": [{"type": "number"}],
            "algorithm": {"group_size": 2, "prompts_per_step": 16},
            "rollout": {"max_tokens": 48},
            "budget": {"max_steps": 2},
        }
    )
    done = stack.finished(job)
    assert done["status"] == "succeeded", done["error"]
    assert done["name"] == "GSM8K, zwei Würfe, 两次"
    assert done["progress"]["step"] == 2

    metrics = stack.get(f"/v1/jobs/{job}/metrics", names="num_rollouts,completions/max_length")
    assert metrics["metrics"]["num_rollouts"] == {"step": [1, 2], "value": [32, 64]}

    by_question = {row["question"]: row["answer"] for row in rows}
    samples = [record["payload"] for record in stack.records(job, kind="sample")]
    assert samples
    for sample in samples:
        whole_answer = by_question[sample["prompt"]]
        assert sample["answer"] == whole_answer.rpartition("####")[2].strip()
        assert re.fullmatch(r"-?[\d,.]+", sample["answer"])
        assert Decimal(sample["answer"].replace(",", "")).is_finite()
