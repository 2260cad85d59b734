"""Download of a trainer's inputs from a remote artifact store."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import structlog

from grpo.errors import RunError
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactDamaged, ArtifactError, ArtifactMissing

log = structlog.get_logger()

ADAPTER_CONFIG = "adapter_config.json"
INPUT_HINT = "Upload the file again, or choose another checkpoint, and submit a new job."


@dataclass(frozen=True)
class StoredFile:
    """One file of the artifact store."""

    key: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Stored:
    """A folder or a single file of the artifact store, downloaded to a path that ends in its
    key."""

    key: str
    files: Sequence[StoredFile]
    resumed: bool = False
    """Whether the attempt resumes from it: if damaged, an earlier checkpoint is used."""
    base: str | None = None
    """Local path of the base model's folder, for an adapter."""


class Fetching:
    """Download of one attempt's inputs in a separate thread, with a sha256 check of each file."""

    def __init__(self, artifacts: Artifacts, needed: Sequence[Stored], *, into: Path) -> None:
        self._artifacts = artifacts
        self._into = into
        self._abandoned = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetching")
        self._work = self._thread.submit(self._fetch_all, needed)

    def done(self, *, seconds: float) -> bool:
        """Wait at most `seconds` for the download; return whether it is complete.

        Raises:
            RunError: something could not be downloaded (`download_failed`), or has changed.
            OSError: the disk is full.
        """
        wait([self._work], timeout=seconds)
        if not self._work.done():
            return False
        self._work.result()
        return True

    def close(self) -> None:
        """Cancel the downloads that have not finished."""
        self._abandoned.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fetch_all(self, needed: Sequence[Stored]) -> None:
        for stored in needed:
            try:
                for file in stored.files:
                    self._fetch(file)
            except (ArtifactMissing, ArtifactDamaged) as error:
                raise _unusable(stored, error) from error
            except ArtifactError as error:
                log.exception("download_failed", key=stored.key)
                raise RunError(
                    "download_failed",
                    "the job's inputs could not be downloaded from the artifact store",
                    hint="The worker's log has the details; its operator should check that it can "
                    "reach and read the artifact store (ARTIFACTS_URL and the AWS_... variables).",
                ) from error
            if stored.base is not None and not self._abandoned.is_set():
                _rebase(self._into / stored.key / ADAPTER_CONFIG, stored.base)

    def _fetch(self, file: StoredFile) -> None:
        if self._abandoned.is_set():
            return
        target = self._into / file.key
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            for block in self._artifacts.blocks(
                file.key, num_bytes=file.num_bytes, sha256=file.sha256
            ):
                out.write(block)
                if self._abandoned.is_set():
                    return


def _unusable(stored: Stored, error: ArtifactError) -> RunError:
    if stored.resumed:
        hint = "Resume from another checkpoint of this job."
        return RunError("checkpoint_damaged", f"the checkpoint cannot be used: {error}", hint=hint)
    return RunError(
        "input_missing", f"an input of the job cannot be used: {error}", hint=INPUT_HINT
    )


def _rebase(config: Path, base: str) -> None:
    """Rewrite an adapter's base path, which refers to the machine that trained it."""
    written = json.loads(config.read_text())
    config.write_text(json.dumps({**written, "base_model_name_or_path": base}, indent=1))
