"""A job's progress on the terminal: a live view, or plain lines without a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from duet.client.sync.client import Client
from duet.client.sync.job_log import succeeded
from duet.errors import INTERRUPTED
from duet.objects.job import Job
from duet.objects.log import Record
from duet.terminal.curves import SHOWN, Curves
from duet.terminal.moments import in_local_time, time_of_day
from duet.terminal.output import clock, tell
from duet.terminal.plain import console as console_of
from duet.terminal.plain import plain
from duet.terminal.progress import Progress

LINE_SECONDS = 1.0  # shortest interval between plain lines of steps
PHASES = {
    "loading": "loading the model",
    "starting_engine": "starting the rollout engine",
    "training": "training",
    "evaluating": "evaluating on held-out prompts",
    "saving": "saving a checkpoint",
}


def follow_to_the_end(client: Client, job: Job, out: TextIO, *, from_now: bool = False) -> Job:
    """Show a job's progress; return the job once it has succeeded.  Ctrl-C ends only the view.

    Raises:
        JobFailed: the job failed or was cancelled, with the reason.
    """
    try:
        watch(client, job, out, from_now=from_now)
    except KeyboardInterrupt:
        tell(f"{job.id} keeps running: `duet watch {job.id}` shows it again")
        sys.exit(INTERRUPTED)
    return succeeded(client.jobs.get(job.id))


def watch(client: Client, job: Job, out: TextIO, *, from_now: bool = False) -> Progress:
    """Show a job until it ends, and return its final progress.  `from_now`: earlier records are
    shown only as curves.

    Raises:
        Unreachable: the server stopped answering.
    """
    tied = "tied pairs" if _group_size(job) == 2 else "tied groups"
    progress = Progress.of(job)
    curves = Curves.of(client.jobs.metrics(job.id, list(SHOWN))) if from_now else Curves()
    console = console_of(file=out)
    with (_live if console.is_terminal else _plain)(console, tied, progress, curves) as show:
        if line := waiting_line(job):
            console.print(plain(line), soft_wrap=True)
        for record in client.jobs.stream(job.id, after=job.last_seq if from_now else 0):
            progress = progress.after(record)
            curves.add(record)
            show(progress, record)
    return progress


def waiting_line(job: Job) -> str:
    """Describe a queued job's wait; None for another job."""
    if job.queue is None:
        return ""
    since, cause = time_of_day(job.queue.since), in_local_time(job.queue.waiting_for)
    return f"queued {job.queue.place} since {since}, waits for {cause}"


class _Lines:
    """A view of plain lines, at a readable rate."""

    def __init__(self, console: Console, tied: str) -> None:
        self._console = console
        self._tied = tied
        self._last_at = 0.0

    def __call__(self, progress: Progress, record: Record) -> None:
        line = event_line(record)
        if record.kind == "metric" and self._is_time_for(progress):
            self._last_at = time.monotonic()
            line = step_line(progress, self._tied)
        if line:
            self._console.print(plain(line), soft_wrap=True)

    def _is_time_for(self, progress: Progress) -> bool:
        """Whether to show a step: always the last one."""
        waited = time.monotonic() - self._last_at >= LINE_SECONDS
        return waited or progress.step == progress.total_steps


class _View:
    """A live view: a status at the bottom, and events above it."""

    def __init__(self, console: Console, tied: str, progress: Progress, curves: Curves) -> None:
        self._console = console
        self._tied = tied
        self._progress = progress
        self._curves = curves

    def __call__(self, progress: Progress, record: Record) -> None:
        if line := event_line(record):
            self._console.print(plain(line))
        self._progress = progress

    def drawn(self) -> Group:
        """Render the status; called a few times a second, however fast records arrive."""
        curves = self._curves.lines(self._console.width)
        lines = [Text(plain(line), overflow="ellipsis", no_wrap=True) for line in curves]
        return Group(_panel(self._progress, self._tied), *lines)


@contextmanager
def _plain(console: Console, tied: str, progress: Progress, _curves: Curves) -> Iterator[_Lines]:
    if progress.step:
        console.print(step_line(progress, tied), soft_wrap=True)
    yield _Lines(console, tied)


@contextmanager
def _live(console: Console, tied: str, progress: Progress, curves: Curves) -> Iterator[_View]:
    view = _View(console, tied, progress, curves)
    with Live(console=console, refresh_per_second=8, get_renderable=view.drawn):
        yield view


def event_line(record: Record) -> str | None:
    """Return a record's line in any view; None if it has none."""
    said = record.payload
    match record.kind:
        case "status":
            return f"{said['status']}: {said['reason']}" if said.get("reason") else said["status"]
        case "phase" if said["phase"] in ("loading", "starting_engine"):
            return PHASES[said["phase"]]
        case "eval" if said.get("eval/accuracy") is not None:
            return f"step {record.step}: held-out accuracy {said['eval/accuracy']:.1%}"
        case "eval" if said.get("eval/reward") is not None:
            return f"step {record.step}: held-out reward {said['eval/reward']:.3f}"
        case "resumed":
            return f"resumed from the checkpoint of step {said['from_step']}"
        case "checkpoint":
            return f"step {record.step}: checkpoint {said['id']}"
        case "message":
            return f"{said['level']}: {said['text']}"
    return None


def step_line(progress: Progress, tied: str) -> str:
    """Format the state of training in at most 80 columns."""
    total = f"/{progress.total_steps}" if progress.total_steps else ""
    parts = [f"step {progress.step}{total}", *_numbers(progress, tied)]
    if progress.seconds_left is not None:
        parts.append(f"{clock(progress.seconds_left)} left")
    return "  ".join(parts)


def _numbers(progress: Progress, tied: str) -> list[str]:
    parts = []
    if progress.reward is not None:
        parts.append(f"reward {progress.reward:.2f}")
    if progress.tied_fraction is not None:
        parts.append(f"{tied} {progress.tied_fraction:.0%}")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    return parts


def _panel(progress: Progress, tied: str) -> Group:
    top = Table.grid(padding=(0, 1), expand=True)
    top.add_column(no_wrap=True)
    top.add_column(ratio=1)
    top.add_column(no_wrap=True)
    total = progress.total_steps
    left = progress.seconds_left
    top.add_row(
        f"step {progress.step}/{total or '?'}",
        ProgressBar(total=total or 1, completed=progress.step, pulse=total is None),
        f"{clock(left)} left" if left is not None else "",
    )
    doing = PHASES.get(progress.phase or "", progress.status)
    numbers = "  ".join([doing, *_numbers(progress, tied)])
    return Group(top, Text(plain(numbers), overflow="ellipsis", no_wrap=True))


def _group_size(job: Job) -> int:
    return job.spec["algorithm"]["group_size"]
