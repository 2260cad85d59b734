"""Retention of a run's checkpoints in its directory, for runs without a server."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from grpo.checkpoint.checkpoint import checkpoint_name
from grpo.reporting.records import Record
from grpo.spec.lifecycle import Checkpoints


class Retention:
    """A listener of a run's records that removes checkpoints which `checkpoints` does not keep."""

    def __init__(self, folder: Path, *, settings: Checkpoints, metric: str) -> None:
        """`folder` holds the checkpoints; `metric` is `evaluation.metric`."""
        self._folder = folder
        self._settings = settings
        self._metric = metric
        self._scores: dict[int, float] = {}

    def __call__(self, record: Record) -> None:
        if record["kind"] == "eval" and record["payload"].get(self._metric) is not None:
            self._scores[record["step"]] = record["payload"][self._metric]
        if record["kind"] == "checkpoint":
            self._prune()

    def _prune(self) -> None:
        """Remove checkpoints, renaming each first: a folder with a checkpoint's name is
        complete."""
        steps = [int(path.name.removeprefix("step-")) for path in self._folder.glob("step-*")]
        for step in set(steps) - kept_steps(steps, settings=self._settings, scores=self._scores):
            outdated = self._folder / f".{checkpoint_name(step)}.removed"
            (self._folder / checkpoint_name(step)).rename(outdated)
            shutil.rmtree(outdated)


def kept_steps(
    steps: Sequence[int], *, settings: Checkpoints, scores: Mapping[int, float]
) -> set[int]:
    """Return the newest steps, and the earliest step with the best score."""
    kept = set(sorted(steps)[-settings.keep_last :])
    scored = [step for step in steps if step in scores]
    if settings.keep_best and scored:
        kept.add(max(scored, key=lambda step: (scores[step], -step)))
    return kept
