"""`duet metrics`: a job's metrics."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from duet.connection import JobId, Key, Url, connect
from duet.errors import Refused
from duet.objects.metrics import Curve
from duet.terminal.output import AsJson, print_json, print_table, say, tell
from duet.terminal.sparkline import spark_line

SPARK_WIDTH = 10


def metrics(
    job: JobId,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Only these metrics; default: all."),
    ] = None,
    from_step: Annotated[int, typer.Option(min=0, help="First step to show.")] = 0,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every step as a row of CSV.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every step as a line of JSON.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show the last value and the curve of each of a job's metrics; or write every step to a file.

    As in `duet metrics JOB reward eval/accuracy`, or `duet metrics JOB --csv run.csv`.
    """
    with connect(url, key) as client:
        if csv is not None:
            _write(csv, client.jobs.metrics_csv(job, names, from_step=from_step))
        if jsonl is not None:
            _write(jsonl, client.jobs.metrics_jsonl(job, names, from_step=from_step))
        if as_json or not (csv or jsonl):
            found = client.jobs.metrics(job, names, from_step=from_step)
            print_json(found) if as_json else _print(found.metrics)


def _write(path: Path, lines: Iterable[str]) -> None:
    """Write a file under a temporary name until it is complete, so that no partial file remains.

    Raises:
        Refused: the file cannot be written there.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            out.writelines(lines)
        part.replace(path)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    tell(f"written: {path}")


def _print(curves: dict[str, Curve]) -> None:
    rows = [[*_last(curve), name] for name, curve in sorted(curves.items()) if curve.step]
    if rows:
        print_table(["last", "step", "curve", "metric"], rows, numbers=["last", "step"])
    else:
        say("none yet")


def _last(curve: Curve) -> tuple[str, str, str]:
    last = curve.value[-1]
    finite = [value for value in curve.value if value is not None]
    said = "not finite" if last is None else f"{last:.4g}"
    return said, str(curve.step[-1]), spark_line(finite, SPARK_WIDTH)
