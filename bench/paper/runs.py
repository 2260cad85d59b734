"""Runs: the spec of each, and its result as a file, so that a benchmark continues after a stop."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.paper.setting import NEVER, TUNING_SEED, Effort, Method, Task
from grpo.spec.resolve import merge

CURVES = (
    *("num_rollouts", "step_time", "reward", "pass_rate"),
    *("groups/tied_fraction", "groups/expected_keep_rate"),
)


@dataclass(frozen=True)
class Run:
    """One job."""

    task: str
    method: str
    learning_rate: float
    seed: int
    spec: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Name of its result: another spec has another one."""
        written = json.dumps(self.spec, sort_keys=True)
        digest = hashlib.sha256(written.encode()).hexdigest()[:12]
        method = self.method.replace("+", "-")
        return f"{self.task}-{method}-{self.learning_rate:g}-{self.seed}-{digest}"


@dataclass(frozen=True)
class Result:
    """Reported results of a run's job: curves over its steps, by metric name."""

    job: str
    group_size: int
    prompts_per_step: int
    steps: list[int]
    curves: dict[str, list[float]]
    evaluated_steps: list[int]
    accuracy: list[float]
    passed: list[float]
    """pass@n."""
    replaces_ties: bool

    @property
    def seconds(self) -> list[float]:
        """Time of training alone up to each step, from 0."""
        return _running_sums(self.curves["step_time"])

    @property
    def rollouts(self) -> list[float]:
        """Rollouts up to each step, from 0."""
        return [0.0, *self.curves["num_rollouts"]]

    @property
    def prompts(self) -> list[float]:
        """Prompts up to each step, from 0; with ties replaced by new prompts, those as well."""
        if self.replaces_ties:
            return [drawn / self.group_size for drawn in self.rollouts]
        return [float(step * self.prompts_per_step) for step in (0, *self.steps)]


class Results:
    """Results in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, run: Run) -> Result | None:
        """Return a run's result; None: it has not ended yet."""
        path = self._folder / f"{run.key}.json"
        return Result(**json.loads(path.read_text())) if path.exists() else None

    def put(self, run: Run, result: Result) -> None:
        """Store a result, complete or not at all."""
        unfinished = self._folder / f".{run.key}.tmp"
        unfinished.write_text(json.dumps(asdict(result)))
        unfinished.rename(self._folder / f"{run.key}.json")


def tuning_runs(
    task: Task,
    method: Method,
    effort: Effort,
    validation: Any,  # noqa: ANN401 - of a spec
) -> Iterator[Run]:
    """Yield the runs that choose a method's learning rate, on rows that are not reported."""
    for learning_rate in effort.learning_rates:
        data = {"data": {"eval": validation}, "evaluation": {"every_steps": NEVER}}
        budget = {"budget": {"max_rollouts": effort.rollouts // 2}}
        yield _run(task, method, effort, learning_rate, TUNING_SEED, merge(data, budget))


def reported_runs(
    task: Task, method: Method, effort: Effort, learning_rate: float
) -> Iterator[Run]:
    """Yield a method's runs at the chosen learning rate, one for each seed."""
    for seed in effort.seeds:
        data = {"data": {"eval": task.reported}}
        yield _run(task, method, effort, learning_rate, seed, data)


def best_learning_rate(runs: Sequence[Run], results: Sequence[Result]) -> float:
    """Return the rate with the highest accuracy at the end; the lowest of equal ones."""
    pairs = zip(runs, results, strict=True)
    return max(pairs, key=lambda pair: (pair[1].accuracy[-1], -pair[0].learning_rate))[
        0
    ].learning_rate


def _run(
    task: Task,
    method: Method,
    effort: Effort,
    learning_rate: float,
    seed: int,
    changes: Mapping[str, Any],
) -> Run:
    spec = {
        "preset": None,
        "seed": seed,
        "algorithm": {
            "group_size": method.group_size,
            "prompts_per_step": effort.rollouts_per_step // method.group_size,
            "minibatches": effort.updates_per_step,
            **method.algorithm,
        },
        "optimizer": {"learning_rate": learning_rate, "warmup_steps": 4},
        "evaluation": {
            "temperature": 1.0,
            "top_p": 1.0,
            "top_k": 0,
            "limit": effort.evaluated,
            "samples": effort.samples,
            "every_steps": effort.every_steps,
        },
        "checkpoints": {"every_steps": NEVER},
        "reporting": {"samples_per_step": 0},
        "budget": {"epochs": 1000, "max_rollouts": effort.rollouts},
    }
    whole = merge(merge(dict(task.base), spec), changes)
    return Run(task.name, method.name, learning_rate, seed, whole)


def _running_sums(values: Sequence[float]) -> list[float]:
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    return sums
