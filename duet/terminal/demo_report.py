"""The report of a demo, as text and as JSON."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duet.objects.checkpoint import Checkpoint
from duet.objects.job import Job
from duet.objects.log import Record
from duet.terminal.output import clock


@dataclass(frozen=True)
class Outcome:
    """A job that succeeded: `evals` by step, `folder` the copy of its last checkpoint.

    `overlap` counts the problems in both data sets; `seconds` is the whole demo without servers.
    """

    job: Job
    evals: tuple[Record, ...]
    checkpoint: Checkpoint
    folder: Path
    overlap: int
    seconds: float

    @property
    def accuracy_before(self) -> float:
        return self.evals[0].payload["eval/accuracy"]

    @property
    def accuracy_after(self) -> float:
        return self.evals[-1].payload["eval/accuracy"]

    @property
    def points_gained(self) -> float:
        return 100 * (self.accuracy_after - self.accuracy_before)

    @property
    def job_seconds(self) -> float:
        """Run time of the job, with the engine's start and the evaluations."""
        return self.job.ran_seconds

    @property
    def download_command(self) -> str:
        return f"duet checkpoint {self.job.id} --download DIR"

    def report(self) -> str:
        metrics = self.job.latest_metrics or {}
        return "\n".join(
            [
                "",
                "Held-out accuracy",
                f"  before   {self.accuracy_before:6.1%}",
                f"  after    {self.accuracy_after:6.1%}   ({self.points_gained:+.1f} points)",
                "",
                f"Training took {clock(self.job_seconds)} for {self.job.progress.step} steps and "
                f"{metrics.get('num_rollouts') or 0:,.0f} completions, two per prompt.",
                "",
                f"Checkpoint  {self.checkpoint.id}",
                f"  a copy    {shlex.quote(str(self.folder))}",
                f"  another   {self.download_command}",
                "",
                "`make up` shows the finished job on its page.",
            ]
        )

    def facts(self) -> dict[str, Any]:
        metrics = self.job.latest_metrics or {}
        return {
            "job": self.job.id,
            "status": self.job.status,
            "overlap": self.overlap,
            "accuracy_before": self.accuracy_before,
            "accuracy_after": self.accuracy_after,
            "points_gained": self.points_gained,
            "steps": self.job.progress.step,
            "num_rollouts": metrics.get("num_rollouts"),
            "job_seconds": self.job_seconds,
            "seconds": self.seconds,
            "checkpoint": {
                "id": self.checkpoint.id,
                "step": self.checkpoint.step,
                "path": str(self.folder.resolve()),
                "download": self.download_command,
            },
            "show": "make up",
        }
