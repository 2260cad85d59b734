"""pip's settings on this machine, for a container or a bare Debian."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class PipSettings:
    """The text of a pip.conf, and the local files and folders that it names."""

    text: str
    paths: tuple[Path, ...]


def pip_settings() -> PipSettings:
    """Return the settings that pip has here from its files and its variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    values = _settings(listed)
    lines = [f"{name} = {' '.join(value.split())}\n" for name, value in values.items()]
    paths = {path for value in values.values() for word in value.split() for path in _local(word)}
    return PipSettings("".join(["[global]\n", *lines]), tuple(sorted(paths)))


def _settings(listed: str) -> dict[str, str]:
    """Return the values by name; a variable's counts more than a file's."""
    found: dict[str, dict[str, str]] = {"global": {}, ":env:": {}}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        source, _, key = name.rpartition(".")
        found.setdefault(source, {})[key] = str(ast.literal_eval(value))
    return {**found["global"], **found[":env:"]}


def _local(word: str) -> Iterator[Path]:
    """Yield the file or folder that a setting's word names, if it is on this machine."""
    if word.startswith("file://"):
        # An index's pages link to files that may lie beside it.
        yield Path(unquote(urlsplit(word).path)).parent
    elif word.startswith("/") and Path(word).exists():
        yield Path(word)
