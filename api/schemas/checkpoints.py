"""A checkpoint, as the API shows it."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.base import View
from store import ids
from store.tables import Checkpoint


class CheckpointView(View):
    """A complete and resumable state of a job's policy."""

    id: str
    job: str
    attempt: int
    step: int
    bytes: int
    final: bool = Field(
        description="Whether it is the job's final checkpoint, saved at the end of training."
    )
    metric: float | None = Field(
        description="evaluation.metric at its step; null if not evaluated there."
    )
    damaged: bool = Field(
        description="Whether its stored files failed verification: no attempt resumes from it."
    )
    created_at: datetime

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        return cls(**_facts(checkpoint))


class CheckpointFile(View):
    """One file of a checkpoint's folder."""

    path: str
    bytes: int
    sha256: str


class CheckpointManifest(CheckpointView):
    """A checkpoint with its files, each at `/v1/checkpoints/{id}/files/{path}`."""

    version: int = Field(description="Version of the folder's format.")
    files: list[CheckpointFile]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        manifest = checkpoint.manifest
        return cls(**_facts(checkpoint), version=manifest["format"], files=manifest["files"])


def _facts(checkpoint: Checkpoint) -> dict:
    return {
        "id": ids.encode("ckpt", checkpoint.id),
        "job": ids.encode("job", checkpoint.job_id),
        "attempt": checkpoint.attempt,
        "step": checkpoint.step,
        "bytes": checkpoint.bytes,
        "final": checkpoint.final,
        "metric": checkpoint.metric,
        "damaged": checkpoint.damaged_at is not None,
        "created_at": checkpoint.created_at,
    }
