"""Export of a checkpoint as a plain Hugging Face model folder."""

import json
from pathlib import Path

import torch

from grpo.errors import RunError
from grpo.models.dtype import save_model, source_dtype
from grpo.models.locate import ModelFolder, open_folder
from grpo.models.policy import load_model
from grpo.runtime.folder_lock import LOCK, holding


def export(checkpoint: Path, out: Path) -> None:
    """Write the policy's weights in its source's dtype and its tokenizer, without training state.

    An adapter is merged into its base.

    Raises:
        RunError: `model_unusable`; `export_exists`, if `out` is not empty.
        FolderInUse: another process writes into `out`.
    """
    if not (out / LOCK).exists():
        _check_empty(out)
    with holding(out):
        try:
            _check_empty(out)
            _write(checkpoint, out)
        finally:
            (out / LOCK).unlink()


def _check_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(path.name != LOCK for path in out.iterdir())):
        raise RunError("export_exists", f"{out} already exists", hint="Use a new or empty folder.")


def _write(checkpoint: Path, out: Path) -> None:
    folder = open_folder(checkpoint)
    tokenizer = folder.load_tokenizer()
    model = load_model(folder, device=torch.device("cpu"), context_tokens=_context_tokens(folder))
    save_model(model, out, dtype=source_dtype(folder.whole))
    tokenizer.save_pretrained(out)


def _context_tokens(folder: ModelFolder) -> int | None:
    """Return the context that a run set for an adapter's base, which the base's config lacks."""
    spec = folder.path / "spec.json"
    if folder.base is None or not spec.exists():
        return None
    return json.loads(spec.read_text(encoding="utf-8"))["model"].get("context_tokens")
