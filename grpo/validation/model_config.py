"""A model's config.json, read where its author is not trusted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from grpo.models.model_folder import CONFIG, MAX_CONFIG_BYTES


def config_at(folder: Path) -> Mapping[str, Any] | None:
    """Return the config of a folder's model; None: unknown."""
    try:
        with (folder / CONFIG).open("rb") as file:
            return config_in(file)
    except (OSError, ValueError):  # ValueError: of a path with a null character
        return None


def config_in(file: BinaryIO) -> Mapping[str, Any] | None:
    """Return the config that a file holds; None: not an object, or longer than
    `MAX_CONFIG_BYTES`, of which no more is read."""
    content = file.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        return None
    try:
        written = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return written if isinstance(written, dict) else None


def context_of(config: Mapping[str, Any] | None) -> int | None:
    """Return the context that a config states [tokens]; None: not stated."""
    text = (config or {}).get("text_config", config)
    context = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return context if type(context) is int else None
