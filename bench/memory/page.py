"""`python -m bench.memory.page [--measure]`: write docs/memory.md, which models fit on which GPU.

The table is computed in a second.  `--measure` first repeats the dry runs that it is compared with,
each model at its real size, which take minutes, and stores them in `dry_runs.json`.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from bench.memory.models import MODELS
from grpo.estimate.fit import Fit, fit
from grpo.estimate.memory import GIB, MemoryEstimate, estimate_memory
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve

PAGE = Path(__file__).parents[2] / "docs" / "memory.md"
MEASURED = Path(__file__).with_name("dry_runs.json")
NUM_ROWS = 10
CARDS = {
    "24 GB": 23_034,
    "48 GB": 46_068,
    "80 GB": 81_559,
    "141 GB": 143_771,
}
"""Memory as nvidia-smi reports it [MiB]: of L4, L40S, H100 and H200."""
LORA = {"rank": 16}
MODES: dict[str, dict[str, Any]] = {
    "all weights, `adamw`": {},
    "all weights, `adamw_8bit`": {"optimizer": {"name": "adamw_8bit"}},
    "all weights, `offload`": {"optimizer": {"offload": True}},
    "LoRA": {"model": {"lora": LORA}},
    "LoRA, 4-bit base": {"model": {"lora": {**LORA, "base_4bit": True}}},
}
DRY_MODELS = ("Qwen2.5-1.5B", "Qwen2.5-7B", "Llama-3.1-8B")
DRY_MODES = ("all weights, `adamw`", "LoRA")
"""Modes whose forward and backward passes differ."""


TEXT = """\
# Which models fit on which GPU

<!-- Written by `python -m bench.memory.page`. -->

Computed by `grpo.estimate`, which also decides whether a job is refused when it is submitted.
Nothing on this page was measured on a GPU.

Every mode here computes in bfloat16 with `model.gradient_checkpointing: true`, prompts of up to
{prompt} tokens, completions of up to {completion} and no reference (`algorithm.kl.beta: 0`);
adapters have rank {rank} on all linear layers. "Kept" is what the trainer holds while vLLM is
awake, "one row" the peak of an update whose micro-batches are one completion with its prompt. A
cell has the largest micro-batch that fits (tokens; a run starts with 16,384 and halves) and the
range of `rollout.gpu_memory_fraction` in which the trainer and the engine, whose weights are
bfloat16, fit beside each other. "update": an update does not fit; "engine": the engine does not
fit beside the trainer.

{table}

The memory of a card is what nvidia-smi reports: {cards}.

## The estimate compared with the models themselves

`grpo.estimate.dry_run` runs the model's own code and the policy's at full size on fake tensors,
which have sizes and no numbers, and counts the bytes alive at once. Here: the memory [GiB],
beside weights, of an update's second micro-batch of {rows} rows ({tokens:,} tokens).
`tests/training/test_dry_run.py` compares all families of [models.md](models.md).

{comparison}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory.page", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="repeat the dry runs")
    if parser.parse_args().measure:
        measured: dict[str, dict[str, int]] = {}
        for name, mode in product(DRY_MODELS, DRY_MODES):
            measured.setdefault(name, {})[mode] = measure(name, mode)
            print(name, mode, measured[name][mode], flush=True)
        MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    PAGE.write_text(page(json.loads(MEASURED.read_text())))


def spec_of(mode: str) -> JobSpec:
    """Return the spec of a mode: the preset's, with gradient checkpointing."""
    written = MODES[mode]
    model = {"dtype": "bfloat16", "gradient_checkpointing": True, **written.get("model", {})}
    return resolve({**written, "model": model})


def measure(name: str, mode: str) -> int:
    """Return the bytes of a later micro-batch of an update, beside weights, by a dry run."""
    from grpo.estimate.dry_run import Rows, dry_run

    spec = spec_of(mode)
    rows = Rows(NUM_ROWS, spec.data.max_prompt_tokens, spec.rollout.max_tokens)
    return dry_run(MODELS[name], spec.model, rows, precision="bfloat16").next_peak


def count(name: str, mode: str) -> int:
    """Return what the estimate counts for `measure`."""
    spec = spec_of(mode)
    estimate = _estimate(spec, MODELS[name], NUM_ROWS)
    return estimate.trainer_peak - estimate.kept


def page(measured: Mapping[str, Mapping[str, int]]) -> str:
    """Return the page's text."""
    spec = spec_of("LoRA")
    prompt, completion = spec.data.max_prompt_tokens, spec.rollout.max_tokens
    cards = ", ".join(f"{card} {mib:,} MiB" for card, mib in CARDS.items())
    return TEXT.format(
        prompt=prompt,
        completion=completion,
        rank=LORA["rank"],
        cards=cards,
        table="\n".join(_table()),
        rows=NUM_ROWS,
        tokens=NUM_ROWS * (prompt + completion),
        comparison="\n".join(_comparison(measured)),
    )


def _table() -> Iterator[str]:
    yield "| model | mode | kept [GiB] | one row [GiB] | " + " | ".join(CARDS) + " |"
    yield "|---|---|" + "---|" * (2 + len(CARDS))
    for name, config in MODELS.items():
        for mode in MODES:
            spec = spec_of(mode)
            fits = [fit(spec, config, mib << 20) for mib in CARDS.values()]
            least = fit(spec, config, 0)
            cells = [_gib(least.kept_bytes), _gib(least.update_bytes), *map(_cell, fits)]
            yield f"| {name} | {mode} | " + " | ".join(cells) + " |"


def _cell(found: Fit) -> str:
    if found.micro_batch_tokens is None:
        return "update"
    if not found.fits_at_another_fraction:
        return "engine"
    fractions = f"{found.least_fraction:g}-{found.most_fraction:g}"
    return f"{found.micro_batch_tokens:,} at {fractions}"


def _comparison(measured: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield "| model | mode | counted | dry run | counted / dry run |"
    yield "|---|---|---|---|---|"
    for name, modes in measured.items():
        for mode, found in modes.items():
            counted = count(name, mode)
            cells = [_gib(counted), _gib(found), f"{counted / found:.3f}"]
            yield f"| {name} | {mode} | " + " | ".join(cells) + " |"


def _estimate(spec: JobSpec, config: Mapping[str, Any], num_rows: int) -> MemoryEstimate:
    tokens = num_rows * (spec.data.max_prompt_tokens + spec.rollout.max_tokens)
    return estimate_memory(spec, config, device="cuda", token_budget=tokens, engine="vllm")


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.1f}"


if __name__ == "__main__":
    main()
