"""A tiny policy and short runs for tests: real parts, small sizes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from grpo.reporting.run_directory import prepare_run_directory
from grpo.runtime.stop import Stop
from grpo.spec.job import JobSpec
from grpo.spec.resolve import merge, resolve
from tests.waiting import deadline

CHARACTERS = "0123+="
END = "<end>"
# Determinism includes the number of threads; one suits models of this size best.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def make_tiny_model(folder: Path, *, vocabulary: int = len(CHARACTERS) + 1) -> Path:
    """A random Qwen2 with tied embeddings that says any character as readily as any other, so that
    one answer in ten is right."""
    tokens = [*CHARACTERS, END]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=64,  # heads of 32: vLLM has no CPU kernel for smaller ones
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=len(CHARACTERS),
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def write_sums(path: Path) -> Path:
    """Write the 20 sums of three digits up to 3, as JSONL."""
    triples = [terms for terms in product(range(4), repeat=3) if sum(terms) <= 3]
    rows = [
        {"question": "+".join(map(str, terms)) + "=", "answer": str(sum(terms))}
        for terms in triples
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def small_spec(model: Path, rows: Path, /, **written: Any) -> JobSpec:
    """Return a spec of six steps of 16 prompts, with checkpoints and evaluations."""
    settings: dict[str, dict[str, Any]] = {
        "model": {"source": str(model)},
        "data": {"train": str(rows), "eval": str(rows), "max_prompt_tokens": 8},
        "algorithm": {"group_size": 4, "prompts_per_step": 16, "minibatches": 2},
        "optimizer": {"learning_rate": 2e-3, "warmup_steps": 2},
        "rollout": {"engine": "transformers", "max_tokens": 4},
        "evaluation": {"every_steps": 3, "samples": 2, "temperature": 1.0, "top_p": 1.0},
        "checkpoints": {"every_steps": 2, "keep_last": 100},
        "budget": {"max_steps": 6},
    }
    return resolve(merge({**settings, "preset": None}, written))


def start_run(
    spec: JobSpec, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Run `python -m grpo run` in a process, with its output in log.txt, as under a worker."""
    folder.mkdir()
    (folder / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "grpo", "run", f"{folder}/spec.json", "--out", str(folder)]
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            [*command, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**ENVIRONMENT, **(environment or {})},
        )


def finish_run(
    spec: JobSpec,
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    seconds: float = 240,
) -> Path:
    process = start_run(spec, folder, *arguments, environment=environment)
    assert process.wait(timeout=deadline(seconds)) == 0, (folder / "log.txt").read_text()[-3000:]
    return folder


def run_here(
    spec: JobSpec,
    folder: Path,
    *,
    resume_from: Path | None = None,
    earlier: Sequence[Path] = (),
) -> Path:
    """Run in this process, without the seconds for imports."""
    from grpo.run import run  # not needed by those who only start processes

    prepare_run_directory(folder, spec)
    code = run(spec, folder, resume_from=resume_from, earlier=earlier, stop=Stop())
    assert code == 0, records(folder)[-1]
    return folder


def records(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Return the complete lines of the log."""
    path = folder / "records.jsonl"
    lines: Sequence[str] = path.read_text().split("\n")[:-1] if path.exists() else []
    parsed = [json.loads(line) for line in lines]
    return [record for record in parsed if kind in (None, record["kind"])]


def end_of(folder: Path) -> dict[str, Any]:
    last = records(folder)[-1]
    assert last["kind"] == "end"
    return last["payload"]


def file_sha256s(checkpoint: Path) -> dict[str, str]:
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    return {entry["path"]: entry["sha256"] for entry in manifest["files"]}


def weights_sha256(checkpoint: Path) -> str:
    return file_sha256s(checkpoint)["model.safetensors"]


def timeless(metrics: dict[str, float]) -> dict[str, float]:
    """Return metrics without those of the machine: time, memory, calls."""
    return {
        name: value
        for name, value in metrics.items()
        if not name.startswith(("seconds/", "memory/", "services/"))
        and "per_second" not in name
        and name != "step_time"
    }
