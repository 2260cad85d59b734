"""Brings what a trainer opens from an artifact store that is elsewhere to this machine."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from grpo.errors import RunError
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactDamaged, ArtifactError, ArtifactMissing

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
    """A folder, or a single file, of the artifact store.  It is fetched to a path that ends in its
    key."""

    key: str
    files: Sequence[StoredFile]
    resumed: bool = False
    """Whether the attempt goes on from it: one that is damaged is then stepped over."""
    base: str | None = None
    """Of an adapter: where the folder that it was trained on will lie on this machine."""


class Fetching:
    """All that one attempt needs, in a thread of its own; each file is compared with its sha256."""

    def __init__(self, artifacts: Artifacts, needed: Sequence[Stored], *, into: Path) -> None:
        self._artifacts = artifacts
        self._into = into
        self._abandoned = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetching")
        self._work = self._thread.submit(self._fetch_all, needed)

    def done(self, *, seconds: float) -> bool:
        """Whether all is there, which is waited for at most so long.

        Raises:
            RunError: something could not be fetched (`download_failed`), or is not what it was.
            OSError: the disk is full.
        """
        wait([self._work], timeout=seconds)
        if not self._work.done():
            return False
        self._work.result()
        return True

    def close(self) -> None:
        """What has not been fetched will not be."""
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
                raise RunError(
                    "download_failed",
                    f"what the job needs could not be fetched: {error}",
                    hint="See that the worker can reach and read the artifact store "
                    "(ARTIFACTS_URL and the AWS_... variables).",
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
    return RunError("input_missing", f"the job needs what cannot be used: {error}", hint=INPUT_HINT)


def _rebase(config: Path, base: str) -> None:
    """An adapter names its base by where that lay on the machine that trained it."""
    written = json.loads(config.read_text())
    config.write_text(json.dumps({**written, "base_model_name_or_path": base}, indent=1))
