"""`duet sweeps`: the sweeps, and the jobs of one."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.objects.sweep import Sweep, SweepJob, SweepSummary
from duet.terminal.output import AsJson, age, print_json, print_lines, print_list

SweepId = Annotated[str, typer.Argument(metavar="SWEEP", help="Its id, as `duet sweep` prints it.")]

app = typer.Typer(no_args_is_help=True, help="Sweeps and their jobs.")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Number of sweeps.")] = 20,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List sweeps, newest first, with the states of their jobs."""
    with connect(url, key) as client:
        found = list(client.sweeps.list(limit=limit))
    now = datetime.now(UTC)
    print_list(
        found,
        ["id", "jobs", "age", "first job"],
        [_row(sweep, now) for sweep in found],
        as_json=as_json,
        none="none yet: see `duet sweep --help`",
    )


@app.command()
def status(sweep: SweepId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show the state of each of a sweep's jobs, with the last value of its target metric."""
    with connect(url, key) as client:
        _print(client.sweeps.get(sweep), as_json=as_json)


@app.command()
def cancel(
    sweep: SweepId,
    kill: Annotated[
        bool, typer.Option("--kill", help="End them now, without finishing steps and saving.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Cancel a sweep's jobs that have not ended."""
    with connect(url, key) as client:
        _print(client.sweeps.cancel(sweep, kill=kill), as_json=as_json)


def _row(sweep: SweepSummary, now: datetime) -> tuple[str, ...]:
    states = ", ".join(f"{number} {status}" for status, number in sweep.jobs.items())
    return sweep.id, states, age((now - sweep.created_at).total_seconds()), sweep.name


def _print(sweep: Sweep, *, as_json: bool) -> None:
    if as_json:
        print_json(sweep)
    else:
        print_lines(line for job in sweep.jobs for line in _lines(job))


def _lines(job: SweepJob) -> Iterator[str]:
    yield f"{job.id}  {job.name}"
    step = f"{job.progress.step or 0}/{job.progress.total_steps or '?'}"
    score = "" if job.value is None else f", {job.metric} {job.value:.4g}"
    yield f"  {job.status} at step {step}{score}"
    if job.differs:
        yield f"  {', '.join(f'{field}={value}' for field, value in job.differs.items())}"
