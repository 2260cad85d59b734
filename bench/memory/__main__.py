"""`python -m bench.memory [NAME ...]`: predicted memory against measured, case by case.

Every case runs in a separate process; NAME, part of a case's name, selects some of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.memory.cases import RUNS, TRAINING, Case
from grpo.budget import TOKEN_BUDGET
from grpo.builtin.catalogue import model_folder
from grpo.estimate.memory import MIB, MemoryEstimate, estimate_memory
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args(arguments).names
    print(f"{'':34}{'predicted':>10}{'measured':>10}  ratio   [MiB]")
    for kind, cases, compare in (("training", TRAINING, training), ("run", RUNS, run)):
        for name, case in cases.items():
            if not names or any(part in name for part in names):
                _print(f"{kind}: {name}", case, *compare(case))


def training(case: Case) -> tuple[int, int]:
    """Return the trainer's peak: predicted and measured [bytes]."""
    written = json.dumps({"spec": case.spec, "config": case.config})
    measured = subprocess.run(
        [sys.executable, "-m", "bench.memory.training", written],
        capture_output=True,
        text=True,
        check=True,
    )
    return predict(_spec(case), case.config).trainer_peak, int(measured.stdout.split()[-1])


def run(case: Case) -> tuple[int, int]:
    """Return the peak of the whole process: predicted, and the largest `memory/peak_bytes`."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as made:
        spec = _spec(case)
        if case.config is not None:
            folder = _make_model(case.config, Path(made) / "model")
            model = spec.model.model_copy(update={"source": str(folder)})
            spec = spec.model_copy(update={"model": model})
        written, out = Path(made) / "spec.json", Path(made) / "run"
        written.write_text(spec.model_dump_json())
        command = [sys.executable, "-m", "grpo", "run", str(written), "--out", str(out)]
        subprocess.run(command, capture_output=True, check=True)
        records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    peaks = [
        record["payload"]["memory/peak_bytes"] for record in records if record["kind"] == "metric"
    ]
    return predict(spec, case.config).total, max(peaks)


def predict(spec: JobSpec, config: Mapping[str, Any] | None) -> MemoryEstimate:
    engine = "vllm" if spec.rollout.engine == "vllm" else "transformers"
    return estimate_memory(
        spec,
        config or _builtin_config(spec),
        device="cpu",
        token_budget=TOKEN_BUDGET["cpu"],
        engine=engine,
    )


def _builtin_config(spec: JobSpec) -> dict[str, Any]:
    folder = model_folder(spec.model.source)
    assert folder is not None  # a case without a config has a built-in model
    return json.loads((folder / "config.json").read_text())


def _spec(case: Case) -> JobSpec:
    return resolve({"preset": None, **case.spec})


def _make_model(config: Mapping[str, Any], folder: Path) -> Path:
    """Save random weights with the tokenizer of the built-in policy, one token per byte."""
    from bench.memory.training import save_random
    from grpo.builtin.recipe import byte_tokenizer

    save_random(config, folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def _print(name: str, case: Case, predicted: int, measured: int) -> None:
    held_back = "  held back" if case.held_back else ""
    ratio = predicted / measured
    print(
        f"{name:34}{predicted / MIB:10.0f}{measured / MIB:10.0f}{ratio:7.2f}{held_back}", flush=True
    )


if __name__ == "__main__":
    main(sys.argv[1:])
