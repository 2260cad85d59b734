"""A checkpoint as a plain Hugging Face model folder, for whatever serves or trains such folders."""

from pathlib import Path

import torch

from grpo.errors import RunError
from grpo.models.dtype import save_model, source_dtype
from grpo.models.locate import load_tokenizer, whole_model
from grpo.models.policy import load_model


def export(checkpoint: Path, out: Path) -> None:
    """Write the policy's weights in its source's dtype and its tokenizer, without what only
    training needs.

    An adapter is merged into its base.

    Raises:
        RunError: `model_unusable`; `export_exists`, where `out` has something in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            "export_exists", f"{out} is there already", hint="Give a folder that is new or empty."
        )
    tokenizer = load_tokenizer(checkpoint)
    model = load_model(checkpoint, device=torch.device("cpu"))
    save_model(model, out, dtype=source_dtype(whole_model(checkpoint)))
    tokenizer.save_pretrained(out)
