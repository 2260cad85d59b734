"""A pretrained model on GSM8K with its chat template, through the API, to a folder for others."""

import io
import json
import os
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from grpo.models.locate import open_folder
from grpo.rollout.engines.engine import Request, Sampling
from grpo.rollout.engines.start import start_engine
from tests.endtoend.conftest import Stack
from tests.smollm2 import smollm2

GSM8K = os.environ.get("DUET_GSM8K")
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
    pytest.mark.skipif(GSM8K is None, reason="DUET_GSM8K is not set to a folder with train.jsonl"),
]

EXAMPLES = [
    ("Tom has 2 pens and buys 3. How many pens has he?", "2 + 3 = 5"),
    ("A box has 6 eggs. How many eggs are in 4 boxes?", "6 * 4 = 24"),
]
NUM_TRAIN, NUM_EVAL = 12, 4
MAX_TOKENS = {"float32": 32, "bfloat16": 12}
MOST_GAP = {"float32": (1e-4, 1e-3), "bfloat16": (0.1, 0.05)}
"""Nats a token, and more for each nat of entropy: the bounds of the trainer's warning."""


def chats() -> list[dict[str, Any]]:
    """Return the shortest rows as chats, after two worked examples."""
    rows = [json.loads(line) for line in (Path(str(GSM8K)) / "train.jsonl").open()]
    rows = sorted(rows, key=lambda row: len(row["question"]))[: NUM_TRAIN + NUM_EVAL]
    turns = [
        {"role": role, "content": text}
        for pair in EXAMPLES
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return [
        {
            "chat": [*turns, {"role": "user", "content": row["question"]}],
            "answer": row["answer"],
        }
        for row in rows
    ]


def uploaded(stack: Stack, folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return stack.upload(path)["id"]


def spec(stack: Stack, folder: Path, precision: str) -> dict[str, Any]:
    """Two steps in float32; one short step in bfloat16, which many processors emulate."""
    rows = chats()
    whole = precision == "float32"
    return {
        "preset": None,
        "name": f"SmolLM2 on GSM8K in {precision}",
        "model": {"source": str(smollm2()), "dtype": precision},
        "data": {
            "train": uploaded(stack, folder, "train", rows[:NUM_TRAIN]),
            "eval": uploaded(stack, folder, "eval", rows[NUM_TRAIN:]),
            "messages": "chat",
            "answer_after": "####",
            "max_prompt_tokens": 144,
        },
        "rewards": [
            {"type": "number"},
            # Few have the right number; how much of it they have differs in nearly every group.
            {"type": "text_similarity", "measure": "ratio", "weight": 0.2},
        ],
        "algorithm": {"group_size": 4, "prompts_per_step": 3 if whole else 1},
        "optimizer": {"learning_rate": 1e-5, "warmup_steps": 0},
        "rollout": {"engine": "vllm", "max_tokens": MAX_TOKENS[precision]},
        "evaluation": {"every_steps": 2, "samples": 1},
        "checkpoints": {"every_steps": 10, "dtype": "source"},
        "reporting": {"samples_per_step": 3},
        "budget": {"max_steps": 2 if whole else 1},
    }


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_trained_on_gsm8k_and_its_export_loads_elsewhere(
    precision: str, stack: Stack, tmp_path: Path
):
    written = spec(stack, tmp_path, precision)
    estimates = stack.http.post("/v1/estimates", json={"spec": written, "group_sizes": [4]}).json()
    job = stack.submit(written)
    done = stack.finished(job, seconds=400)
    assert done["status"] == "succeeded", done["error"]

    check_curves(stack, job, precision)
    check_memory(stack, job, estimates)
    check_samples(stack, job, precision)

    exported = exported_of(stack, job, tmp_path)
    if precision == "float32":
        check_that_others_load(exported)


def check_curves(stack: Stack, job: str, precision: str) -> None:
    """Check the gap, which exact weights keep at rounding, the update and the evaluations."""
    metrics = stack.get(f"/v1/jobs/{job}/metrics")["metrics"]
    gaps, entropies = (
        metrics[name]["value"] for name in ("learnt/sampling_logp_difference/mean", "entropy")
    )
    base, more = MOST_GAP[precision]
    for gap, entropy in zip(gaps, entropies, strict=True):
        assert gap < base + more * entropy
    assert metrics["num_updates"]["value"][-1] >= 1
    assert metrics["grad_norm"]["value"][-1] > 0
    assert all(0 <= value <= 1 for value in metrics["eval/accuracy"]["value"])
    assert metrics["eval/accuracy"]["step"][0] == 0
    said = [record["payload"] for record in stack.records(job, kind="message")]
    assert not [each for each in said if each["level"] == "warning" and "logprob" in each["text"]]


def check_memory(stack: Stack, job: str, estimates: dict[str, Any]) -> None:
    (estimate,) = estimates["estimates"]
    peaks = stack.get(f"/v1/jobs/{job}/metrics", names="memory/peak_bytes")["metrics"]
    peak = max(peaks["memory/peak_bytes"]["value"])
    assert 0.8 < estimate["memory"]["total"] / peak < 1.25, (estimate["memory"], peak)


def check_samples(stack: Stack, job: str, precision: str) -> None:
    """Check the chat template, and that the end of a turn ends a completion and is not its text."""
    samples = [record["payload"] for record in stack.records(job, kind="sample")]
    drawn = [each for sample in samples for each in sample["completions"]]
    for each in drawn:
        assert "<|im_" not in each["text"]
        if each["finish_reason"] == "length":
            assert each["num_tokens"] == MAX_TOKENS[precision]
    if precision == "float32":
        assert any(each["finish_reason"] == "stop" for each in drawn)
        assert any(each["finish_reason"] == "length" for each in drawn)
    questions = {row["chat"][-1]["content"] for row in chats()}
    for sample in samples:
        assert any(question in sample["prompt"] for question in questions)


def exported_of(stack: Stack, job: str, folder: Path) -> Path:
    """Download the final checkpoint and export it as `python -m grpo export` does."""
    checkpoint = stack.get(f"/v1/jobs/{job}/checkpoints")["data"][-1]
    assert checkpoint["final"]
    answer = stack.http.get(f"/v1/checkpoints/{checkpoint['id']}/archive.tar")
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        archive.extractall(folder, filter="data")
    out = folder / "exported"
    command = [sys.executable, "-m", "grpo", "export", str(folder / checkpoint["id"]), str(out)]
    subprocess.run(command, check=True)
    return out


def check_that_others_load(exported: Path) -> None:
    """Check that transformers and vLLM agree on the export, which is not the source any more."""
    trained = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32)
    assert json.loads((exported / "config.json").read_text())["dtype"] == "bfloat16"
    source = AutoModelForCausalLM.from_pretrained(smollm2(), dtype=torch.float32).state_dict()
    changed = [
        name for name, weight in trained.state_dict().items() if weight.ne(source[name]).any()
    ]
    assert "model.layers.0.mlp.up_proj.weight" in changed

    tokenizer = AutoTokenizer.from_pretrained(exported)
    asked = prompt_ids(tokenizer)
    engine = start_engine(
        "vllm",
        model_folder=exported,
        tokenizer=open_folder(exported).load_tokenizer(),
        dtype="float32",
        max_model_tokens=64,
        max_batch=1,
        gpu_memory_fraction=0.3,
    )
    with closing(engine):
        (drawn,) = engine.generate([Request(tuple(asked), seed=1)], Sampling(1.0, 1.0, 1, 24))
    with torch.no_grad():
        logits = trained(input_ids=torch.tensor([[*asked, *drawn.token_ids]])).logits  # [1, L, V]
    assert drawn.token_ids == tuple(logits[0, len(asked) - 1 : -1].argmax(dim=1).tolist())


def prompt_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    chat = [{"role": "user", "content": "Say hello."}]
    text = str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
    assert text.endswith("<|im_start|>assistant\n")
    return tokenizer.encode(text)
