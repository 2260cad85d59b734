"""`duet sweeps`: the jobs of a sweep."""

from collections.abc import Iterator
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.objects.sweep import Sweep, SweepJob
from duet.terminal.output import AsJson, print_json, print_lines

SweepId = Annotated[str, typer.Argument(metavar="SWEEP", help="Its id, as `duet sweep` prints it.")]

app = typer.Typer(no_args_is_help=True, help="The jobs of a sweep.")


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
    """End a sweep's jobs that have not ended."""
    with connect(url, key) as client:
        _print(client.sweeps.cancel(sweep, kill=kill), as_json=as_json)


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
