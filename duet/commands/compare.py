"""`duet compare`: several jobs side by side."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from duet.connection import Key, Url, complete_job, connect
from duet.objects.comparison import ComparedJob, Comparison
from duet.plot import plot_comparison
from duet.terminal.output import AsJson, clock, print_json, print_lines, print_table, score, tell
from duet.terminal.sparkline import spark_line

SPARK_WIDTH = 30


class Axis(StrEnum):
    STEP = "step"
    ROLLOUTS = "rollouts"
    TOKENS = "tokens"
    SECONDS = "seconds"


def compare(
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB...", help="Up to 16 ids.", autocompletion=complete_job),
    ],
    metric: Annotated[str, typer.Option(help="Metric to compare.")] = "eval/accuracy",
    x: Annotated[Axis, typer.Option(help="Horizontal axis of the curves.")] = Axis.STEP,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Job that the others are compared with; default: the largest group size.",
            autocompletion=complete_job,
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the curves; needs duet[plot].")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Compare jobs: scores, costs, and savings relative to a baseline."""
    with connect(url, key) as client:
        compared = client.compare(jobs, metric=metric, x=x.value, baseline=baseline)
    if png is not None:
        plot_comparison(compared, png)
        tell(f"drawn: {png}")
    if as_json:
        print_json(compared)
        return
    print_table(
        ["group", "score", "rollouts", "tokens", "time", "job"],
        map(_row, compared.jobs),
        numbers=["group", "score", "rollouts", "tokens", "time"],
    )
    print_lines(_against(compared))
    print_lines(_curves(compared))


def _row(job: ComparedJob) -> list[str]:
    measured = job.measured
    return [
        str(job.group_size),
        score(measured.score),
        f"{measured.rollouts:,.0f}",
        f"{measured.tokens:,.0f}",
        clock(measured.seconds),
        job.name,
    ]


def _against(compared: Comparison) -> Iterator[str]:
    """Yield each job's share of the baseline's score, and its savings."""
    names = {job.id: job.name for job in compared.jobs}
    others = [job for job in compared.jobs if job.id != compared.baseline]
    if others:
        yield ""
        yield f"Against {names[compared.baseline]}:"
    for job in others:
        said = [
            f"{_percent(value)} {what}"
            for value, what in (
                (job.score_kept, "of the score"),
                (job.rollouts_saved, "fewer rollouts"),
                (job.time_saved, "less time"),
            )
            if value is not None
        ]
        yield f"  {job.name}: {', '.join(said) or 'nothing measured yet'}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _curves(compared: Comparison) -> Iterator[str]:
    yield ""
    yield f"{compared.metric} over {compared.x}:"
    for job in compared.jobs:
        values = [value for value in job.value if value is not None]
        if values:
            ends = f"{score(values[0])} → {score(values[-1])}"
            yield f"  {spark_line(values, SPARK_WIDTH)} {ends}  {job.name}"
        else:
            yield f"  no values of {compared.metric} yet  {job.name}"
