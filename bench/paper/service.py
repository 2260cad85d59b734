"""Runs as jobs of a Duet of its own: submitted as a sweep, and found again after a stop."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.paper.runs import CURVES, Result, Results, Run
from duet import Client
from duet.objects.job import Job

RUN_LABEL = "run"
MAX_JOBS = 64  # of a sweep
USABLE = ("queued", "running", "paused", "succeeded")


class RunFailed(Exception):
    """A run's job ended without success."""


@contextmanager
def served(folder: Path) -> Iterator[Client]:
    """Start Duet with its state in a folder, and stop it at the end."""
    program = Path(sys.executable).with_name("duet")
    command = [str(program), "up", "--json", "--dir", str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as up:
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            if not line:
                raise RunFailed(f"duet up exited with {up.wait()}")
            said = json.loads(line)
            with Client(said["url"], said["key"]) as client:
                yield client
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait()


def uploaded(client: Client, name: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Return the id of a file with these rows, which is uploaded once."""
    file_name = f"{name}.jsonl"
    for file in client.files.list():
        if file.name == file_name:
            return file.id
    with TemporaryDirectory() as folder:
        path = Path(folder) / file_name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return client.files.upload(path).id


def finished(client: Client, runs: Sequence[Run], results: Results) -> list[Result]:
    """Return the results of runs; those without one are submitted, and waited for in order.

    Raises:
        RunFailed: a job ended without success.
    """
    left = [run for run in runs if results.get(run) is None]
    jobs = {run.key: job for run in left if (job := _found(client, run)) is not None}
    new = [run for run in left if run.key not in jobs]
    for first in range(0, len(new), MAX_JOBS):
        jobs |= _submit(client, new[first : first + MAX_JOBS])
    for run in left:
        job = client.jobs.wait(jobs[run.key])
        if job.status != "succeeded":
            raise RunFailed(f"{job.name} ({job.id}) is {job.status}: {job.error}")
        results.put(run, _result(client, job))
        print(f"  {run.key}: {results_of(results, run).accuracy[-1]:.3f}", flush=True)
    return [results_of(results, run) for run in runs]


def results_of(results: Results, run: Run) -> Result:
    """Return the result of a run that has ended."""
    found = results.get(run)
    assert found is not None
    return found


def _found(client: Client, run: Run) -> str | None:
    """Return the job of a run submitted before a stop; None: there is none that may succeed."""
    jobs = client.jobs.list(label=f"{RUN_LABEL}:{run.key}", limit=10)
    return next((job.id for job in jobs if job.status in USABLE), None)


def _submit(client: Client, runs: Sequence[Run]) -> dict[str, str]:
    variants = [{**run.spec, "labels": {RUN_LABEL: run.key}} for run in runs]
    sweep = client.sweeps.create({}, variants=variants, name=f"bench {runs[0].task}")
    return {run.key: job.id for run, job in zip(runs, sweep.jobs, strict=True)}


def _result(client: Client, job: Job) -> Result:
    samples = job.spec["evaluation"]["samples"]
    algorithm = job.spec["algorithm"]
    evaluated = ("eval/accuracy", f"eval/pass@{samples}")
    metrics = client.jobs.metrics(job.id, [*CURVES, *evaluated]).metrics
    accuracy, passed = (metrics[name] for name in evaluated)
    return Result(
        job=job.id,
        group_size=algorithm["group_size"],
        prompts_per_step=algorithm["prompts_per_step"],
        steps=metrics["step_time"].step,
        curves={name: _numbers(metrics[name].value) for name in CURVES},
        evaluated_steps=accuracy.step,
        accuracy=_numbers(accuracy.value),
        passed=_numbers(passed.value),
        replaces_ties=algorithm["ties"]["policy"] == "resample",
    )


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
