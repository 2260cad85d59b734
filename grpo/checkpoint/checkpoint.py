"""Checkpoints: everything that a bit-exact continuation needs, visible only once complete.

A checkpoint is a Hugging Face model folder that transformers and vLLM load unchanged, with the
optimizer, the trainer's state, the resolved spec and a manifest beside the weights.  Nothing is
pickled.  No random generator's state has to be saved: see `grpo.seeds`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from grpo.errors import RunError
from grpo.evaluation.early_stopping import Best

FORMAT = 3
MANIFEST, STATE, SPEC = "manifest.json", "trainer_state.json", "spec.json"
OPTIMIZER = "optimizer.safetensors"
MEMORY = "memory.safetensors"  # where advantage.baseline is memory
REFERENCE = "reference.safetensors"  # if it is synced with the policy


@dataclass(frozen=True)
class TrainerState:
    """The progress of a run after a step."""

    step: int = 0
    num_updates: int = 0
    num_skipped_updates: int = 0
    num_rollouts: int = 0
    num_tokens: int = 0
    num_discarded_groups: int = 0
    num_failed_rewards: int = 0
    last_failures: tuple[tuple[int, int], ...] = ()  # (failed, scored) of each of the last steps
    sampler: Mapping[str, Any] | None = None  # None: before its first draw
    evaluation_due: bool = False  # the run was stopped before it could evaluate this step
    best: Best | None = None  # None: not evaluated yet
    end_reason: str | None = None  # reason to end before the last step, if any
    training_seconds: float = 0.0  # steps so far with evaluation and saving, without loading
    gpu_seconds: float = 0.0  # the same, times the number of GPUs in use
    token_budget: int | None = None  # None: never changed


def checkpoint_name(step: int) -> str:
    return f"step-{step:06d}"


def write_checkpoint(
    parent: Path,
    *,
    state: TrainerState,
    environment: Mapping[str, Any],
    created_at: datetime,
    write_files: Callable[[Path], None],
) -> Path:
    """Write a checkpoint to a temporary folder, flush it to disk, and rename the folder.

    `write_files` writes the weights, the optimizer and the spec into a given folder.
    """
    parent.mkdir(exist_ok=True)
    folder = parent / checkpoint_name(state.step)
    unfinished = parent / f".{folder.name}.tmp"
    unfinished.mkdir()
    try:
        write_files(unfinished)
        (unfinished / STATE).write_text(json.dumps(asdict(state), indent=1))
        manifest = {
            "format": FORMAT,
            "step": state.step,
            "created_at": created_at.isoformat().replace("+00:00", "Z"),
            "environment": environment,
            "files": [_describe(path, unfinished) for path in _files(unfinished)],
        }
        (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=1))
        for path in [*_files(unfinished), *_folders(unfinished)]:
            _force_to_disk(path)
        unfinished.rename(folder)
    except BaseException:
        # On a full disk this frees the space that the run needs to record why it ends.
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _force_to_disk(parent)
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint after verifying its files against it.

    Raises:
        RunError: `checkpoint_damaged` if files are missing or changed, `checkpoint_unusable` if its
            format is not this program's or its parent folder is missing: the disk or share may not
            be mounted.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        written_format, files = manifest["format"], manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        code = "checkpoint_damaged" if folder.parent.is_dir() else "checkpoint_unusable"
        raise _refused(folder, code, f"{MANIFEST} cannot be read: {error}") from error
    if written_format != FORMAT:
        why = f"its format is {written_format}; this program reads format {FORMAT}"
        raise _refused(folder, "checkpoint_unusable", why)
    for entry in files:
        path = folder / entry["path"]
        if not path.is_file() or _describe(path, folder) != entry:
            why = f"{entry['path']} is missing or has changed since it was written"
            raise _refused(folder, "checkpoint_damaged", why)
    return manifest


def read_state(folder: Path) -> TrainerState:
    state = json.loads((folder / STATE).read_text())
    best = state.pop("best")
    last_failures = tuple((failed, scored) for failed, scored in state.pop("last_failures", ()))
    return TrainerState(
        **state, best=None if best is None else Best(**best), last_failures=last_failures
    )


def _refused(folder: Path, code: str, why: str) -> RunError:
    return RunError(
        code,
        f"the checkpoint {folder} cannot be resumed from: {why}",
        hint="Resume from another checkpoint of this run.",
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _folders(folder: Path) -> list[Path]:
    return [folder, *(path for path in folder.rglob("*") if path.is_dir())]


def _describe(path: Path, folder: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "path": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": sha256,
    }


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
