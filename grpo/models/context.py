"""The most tokens that a model reads: its config's own number, or the spec's in place of it.

Many configs state the length that a model was trained on.  Rotary position embeddings are computed
for any position, so prompt and completion may go beyond it.
"""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from grpo.errors import RunError
from grpo.models.locate import ModelFolder

CONTEXT = "max_position_embeddings"


def context_of(folder: ModelFolder, context_tokens: int | None) -> int:
    """Return the context of a model in a folder, adapters on their base: prompt and completion
    together [tokens].  `context_tokens`: `model.context_tokens`.

    Raises:
        RunError: `model_unusable`, where the model cannot read as many, or states no context.
    """
    config = read_config(folder.whole)
    own: int | None = getattr(config.get_text_config(), CONTEXT, None)
    if context_tokens is None and own is None:
        raise RunError(
            "model_unusable",
            f"the config in {folder.path} has no {CONTEXT}",
            hint="Set model.context_tokens to the longest prompt and completion together.",
        )
    if context_tokens is None or (own is not None and context_tokens <= own):
        return context_tokens or own or 0
    if not _is_rotary(config):
        raise RunError(
            "model_unusable",
            f"model.context_tokens is {context_tokens}, and {config.model_type} models have a "
            f"learned embedding for each of {own} positions",
            hint="Lower model.context_tokens, data.max_prompt_tokens or rollout.max_tokens.",
        )
    return context_tokens


def context_override(config: PreTrainedConfig, context_tokens: int) -> dict[str, Any]:
    """Return the fields of a config, nested as in the file, that give a model its context."""
    fields = {CONTEXT: context_tokens}
    return fields if config.get_text_config() is config else {"text_config": fields}


def config_with_context(folder: Path, context_tokens: int) -> PreTrainedConfig:
    """Return the config of a whole model's folder with the context in place."""
    config = read_config(folder)
    setattr(config.get_text_config(), CONTEXT, context_tokens)
    return config


def read_config(folder: Path) -> PreTrainedConfig:
    """
    Raises:
        RunError: `model_unusable`.
    """
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            "model_unusable",
            f"the config in {folder} does not load: {error}",
            hint="Give the folder of a model that transformers knows.",
        ) from error


def _is_rotary(config: PreTrainedConfig) -> bool:
    """Whether positions are rotations, computed for any position."""
    return bool(getattr(config.get_text_config(), "rope_parameters", None))
