"""A job's progress on the terminal: a live view, or plain lines where there is no terminal."""

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
from duet.objects.job import Job
from duet.objects.log import Record
from duet.progress import Progress

LINE_SECONDS = 1.0  # plain lines of steps come no faster than this
PHASES = {
    "loading": "loading the model",
    "starting_engine": "starting the rollout engine",
    "training": "training",
    "evaluating": "evaluating on held-out prompts",
    "saving": "saving a checkpoint",
}


def watch(client: Client, job: Job, out: TextIO) -> Progress:
    """Show a job until it ends; its progress at the end.

    Raises:
        Unreachable: the server went away and did not come back.
    """
    tied = "tied pairs" if _group_size(job) == 2 else "tied groups"
    progress = Progress.of(job)
    console = Console(file=out, highlight=False)
    with (_live if console.is_terminal else _plain)(console, tied) as show:
        for record in client.jobs.stream(job.id):
            progress = progress.after(record)
            show(progress, record)
    return progress


class _Lines:
    """One line for what happened, no more often than a reader wants."""

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
            self._console.print(line, soft_wrap=True, markup=False)

    def _is_time_for(self, progress: Progress) -> bool:
        """The last step is always shown."""
        waited = time.monotonic() - self._last_at >= LINE_SECONDS
        return waited or progress.step == progress.total_steps


class _View:
    """Two lines that stay, and above them what happened."""

    def __init__(self, live: Live, tied: str) -> None:
        self._live = live
        self._tied = tied

    def __call__(self, progress: Progress, record: Record) -> None:
        if line := event_line(record):
            self._live.console.print(line, markup=False)
        self._live.update(_panel(progress, self._tied))


@contextmanager
def _plain(console: Console, tied: str) -> Iterator[_Lines]:
    yield _Lines(console, tied)


@contextmanager
def _live(console: Console, tied: str) -> Iterator[_View]:
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield _View(live, tied)


def event_line(record: Record) -> str | None:
    """What is worth a line of its own, whatever the view; None for the rest."""
    said = record.payload
    match record.kind:
        case "status":
            return f"{said['status']}: {said['reason']}" if said.get("reason") else said["status"]
        case "phase" if said["phase"] in ("loading", "starting_engine"):
            return PHASES[said["phase"]]
        case "eval" if said.get("eval/accuracy") is not None:
            return f"step {record.step}: held-out accuracy {said['eval/accuracy']:.1%}"
        case "resumed":
            return f"resumed from the checkpoint of step {said['from_step']}"
        case "checkpoint":
            return f"step {record.step}: checkpoint {said['id']}"
        case "message":
            return f"{said['level']}: {said['text']}"
    return None


def step_line(progress: Progress, tied: str) -> str:
    """The state of training in at most 80 columns."""
    total = f"/{progress.total_steps}" if progress.total_steps else ""
    parts = [f"step {progress.step}{total}", *_numbers(progress, tied)]
    if progress.seconds_left is not None:
        parts.append(f"{clock(progress.seconds_left)} left")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
    return Group(top, Text(numbers, overflow="ellipsis", no_wrap=True))


def _group_size(job: Job) -> int:
    return job.spec["algorithm"]["group_size"]
