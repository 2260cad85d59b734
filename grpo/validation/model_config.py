"""Reading of a model's config.json from an untrusted author."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from grpo.builtin.catalogue import MODELS
from grpo.data.source_ref import Kind, model_ref
from grpo.models.model_folder import CONFIG, MAX_CONFIG_BYTES
from grpo.models.rope import depends_on_context


def config_of(source: str) -> Mapping[str, Any] | None:
    """Return the config of a built-in model or of a model in a folder; None: unknown here."""
    match model_ref(source).kind:
        case Kind.BUILTIN:
            return MODELS[source].config
        case Kind.PATH:
            return config_at(Path(source))
        case _:
            return None


def config_at(folder: Path) -> Mapping[str, Any] | None:
    """Return the config of a folder's model; None: unknown."""
    try:
        with (folder / CONFIG).open("rb") as file:
            return config_in(file)
    except (OSError, ValueError):  # ValueError: a path with a null character
        return None


def config_in(file: BinaryIO) -> Mapping[str, Any] | None:
    """Return the config in a file; None: not a JSON object, or longer than `MAX_CONFIG_BYTES`,
    beyond which the file is not read."""
    content = file.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        return None
    try:
        written = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return written if isinstance(written, dict) else None


@dataclass(frozen=True)
class ModelContext:
    """The context that a model's config states."""

    tokens: int | None
    """Context length; None: not stated."""
    rope_type: str | None = None
    """The type of rotary embeddings that a larger context would change; None: unaffected."""


def context_of(config: Mapping[str, Any] | None) -> ModelContext:
    """Return the context that a config states."""
    text = (config or {}).get("text_config", config)
    if not isinstance(text, dict):
        return ModelContext(None)
    tokens = text.get("max_position_embeddings")
    written = (text.get("rope_scaling"), text.get("rope_parameters"))
    rope_types = filter(None, map(depends_on_context, written))
    return ModelContext(tokens if type(tokens) is int else None, next(rope_types, None))
