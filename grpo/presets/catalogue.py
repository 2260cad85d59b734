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
    """The settings of one preset.

    Raises:
        ValueError: there is no such preset; the message lists those there are.
    """
    if name not in preset_names():
        raise ValueError(
            f"there is no preset {name[:100]!r}; there are {', '.join(preset_names())}"
        )
    return deepcopy(_read(name)["settings"])


def describe_preset(name: str) -> str:
    """The sentence that says what a preset is for."""
    return _read(name)["description"]


@cache
def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
