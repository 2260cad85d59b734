"""The reward of 200 steps of tiny-arithmetic on the CPU.

`python -m tests.gpu.curve SEED ...` adds a curve for each seed to `curve.json`: four and a half
minutes of CPU time each.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve
from tests.training.runs import finish_run, records

RECORDED = Path(__file__).with_name("curve.json")
NUM_STEPS, WINDOW = 200, 20


def curve_spec(*, seed: int, num_steps: int = NUM_STEPS) -> JobSpec:
    """Return the demo's task in steps of 64 pairs and one update."""
    return resolve(
        {
            "preset": "demo",
            "data": {"eval": None},
            "algorithm": {"prompts_per_step": 64, "minibatches": 1},
            "checkpoints": {"every_steps": NUM_STEPS},
            "budget": {"epochs": 10, "max_steps": num_steps},
            "seed": seed,
        }
    )


def windows(rewards: Sequence[float]) -> list[float]:
    """Return the mean reward of each window of steps."""
    return [
        round(fmean(rewards[at : at + WINDOW]), 4)
        for at in range(0, len(rewards) - WINDOW + 1, WINDOW)
    ]


def main(seeds: Sequence[int]) -> None:
    curves: dict[str, list[float]] = json.loads(RECORDED.read_text())["curves"]
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            run = finish_run(curve_spec(seed=seed), Path(folder) / "run", seconds=3600)
            metrics = [each["payload"] for each in records(run, "metric")]
        curves[str(seed)] = windows([each["reward"] for each in metrics])
        RECORDED.write_text(json.dumps({"window": WINDOW, "curves": curves}) + "\n")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]])
