"""Presets, models, data sets and rewards that a server offers."""

from typing import Any

from duet.objects.answer import Answer


class Preset(Answer):
    """A preset that a spec can start from."""

    name: str
    description: str
    settings: dict[str, Any]


class Model(Answer):
    """A built-in model."""

    name: str
    description: str
    context_tokens: int


class Dataset(Answer):
    """A built-in data set."""

    name: str
    description: str


class Reward(Answer):
    """A reward that a spec can name; `settings` is the JSON schema of its settings."""

    type: str
    description: str
    settings: dict[str, Any]
