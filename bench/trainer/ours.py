"""Duet's trainer as shipped: a whole run, paused between its steps."""

from pathlib import Path

from bench.turns import Turns
from grpo.reporting.records import Record
from grpo.spec.job import JobSpec


def play(turns: Turns, spec: JobSpec, folder: Path) -> None:
    """Train with Duet; a turn lasts from one step's metrics to the next's, which are reported."""
    from grpo.reporting.run_directory import prepare_run_directory
    from grpo.run import run
    from grpo.runtime.stop import Stop

    def between_steps(record: Record) -> None:
        if record["kind"] == "metric":
            turns.next(record["payload"])

    prepare_run_directory(folder, spec)
    run(spec, folder, stop=Stop(), listeners=[between_steps])
