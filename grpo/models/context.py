"""A model's context length: its config's, or the spec's override.

Many configs state the length that a model was trained on.  Rotary position embeddings can be
computed for any position, so prompt and completion may exceed it.  The config is changed only if
the spec's length is larger: a smaller one limits prompt and completion, without changing the model.
"""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from grpo.errors import RunError
from grpo.models.locate import ModelFolder
from grpo.models.rope import depends_on_context

CONTEXT = "max_position_embeddings"


def context_of(folder: ModelFolder, context_tokens: int | None) -> int:
    """Return the context of a folder's model, or of an adapter's base: the limit of prompt plus
    completion [tokens].  `context_tokens`: `model.context_tokens`.

    Raises:
        RunError: `model_unusable`, if the model does not support this context, or states none.
    """
    config = read_config(folder.whole)
    own = _own_context(config)
    if context_tokens is None and own is None:
        raise RunError(
            "model_unusable",
            f"the config in {folder.path} has no {CONTEXT}",
            hint="Set model.context_tokens to the maximum length of prompt plus completion.",
        )
    if context_tokens is None or not _raises(config, context_tokens):
        return context_tokens or own or 0
    obstacle = _obstacle(config)
    if obstacle is not None:
        raise RunError(
            "model_unusable",
            f"model.context_tokens is {context_tokens}, but {obstacle}",
            hint="Lower model.context_tokens, data.max_prompt_tokens or rollout.max_tokens.",
        )
    return context_tokens


def context_override(config: PreTrainedConfig, context_tokens: int) -> dict[str, Any]:
    """Return the config fields, nested as in the file, that give a model a larger context; empty if
    its own is as large."""
    if not _raises(config, context_tokens):
        return {}
    fields = {CONTEXT: context_tokens}
    return fields if config.get_text_config() is config else {"text_config": fields}


def config_with_context(folder: Path, context_tokens: int) -> PreTrainedConfig:
    """Return the config of a whole model's folder, with the context raised if it is larger."""
    config = read_config(folder)
    if _raises(config, context_tokens):
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
            hint="Use the folder of a model that transformers supports.",
        ) from error


def _own_context(config: PreTrainedConfig) -> int | None:
    return getattr(config.get_text_config(), CONTEXT, None)


def _raises(config: PreTrainedConfig, context_tokens: int) -> bool:
    """Whether a context is larger than the config's, or the config states none."""
    own = _own_context(config)
    return own is None or context_tokens > own


def _obstacle(config: PreTrainedConfig) -> str | None:
    """Return the reason why a model's context cannot exceed its config's; None: it can."""
    kind, own = config.model_type, _own_context(config)
    rope = getattr(config.get_text_config(), "rope_parameters", None)
    if not rope:
        return f"{kind} models have learned embeddings for {own} positions only"
    rope_type = depends_on_context(rope)
    if rope_type is not None:
        return (
            f"this {kind} model's rotary embeddings (rope_type {rope_type}) are computed from its "
            f"config's {CONTEXT}, {own}: a larger one would change what the model computes"
        )
    return None
