"""The presets: named settings that a spec starts from, one YAML file each."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@cache
def preset_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_preset(name: str) -> dict[str, Any]:
    """Return the settings of one preset.

    Raises:
        ValueError: the preset does not exist; the message lists the presets.
    """
    if name not in preset_names():
        raise ValueError(
            f"unknown preset {name[:100]!r}; the presets are {', '.join(preset_names())}"
        )
    return deepcopy(_read(name)["settings"])


def describe_preset(name: str) -> str:
    """Return the sentence that describes a preset's purpose."""
    return _read(name)["description"]


@cache
def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
