"""Checkpoints: complete and resumable states of a job's policy."""

from datetime import datetime

from duet.objects.answer import Answer


class Checkpoint(Answer):
    id: str
    job: str
    attempt: int
    step: int
    bytes: int
    final: bool
    metric: float | None = None
    """The value that `keep_best` compares."""
    damaged: bool
    created_at: datetime


class CheckpointFile(Answer):
    path: str
    bytes: int
    sha256: str


class CheckpointManifest(Checkpoint):
    """A checkpoint with its files."""

    version: int
    files: list[CheckpointFile]
