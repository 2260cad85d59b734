"""A spec's file: YAML or JSON in UTF-8."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from grpo.spec.plain_yaml import load_yaml

JSON_BEGINS = "{"


class SpecFileError(ValueError):
    """A file that does not hold a mapping.  The message names the file and the error."""


def read_spec_file(path: Path) -> dict[str, Any]:
    """Return the mapping that the file holds.

    JSON is parsed as JSON: a YAML parser reads an escaped emoji as two halves of a surrogate pair.

    Raises:
        SpecFileError: the file is neither YAML nor JSON, is not a mapping, or holds an unpaired
            surrogate.
        OSError: the file cannot be read.
    """
    try:
        written = _parsed(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SpecFileError(f"{path} is neither YAML nor JSON: {error}") from None
    if not isinstance(written, dict):
        raise SpecFileError(f"{path} must hold a mapping of settings")
    try:
        return _with_whole_characters(written)
    except UnicodeDecodeError:
        raise SpecFileError(f"{path} holds an unpaired surrogate") from None


def _parsed(text: str) -> Any:  # noqa: ANN401
    if text.lstrip().startswith(JSON_BEGINS):
        try:
            return json.loads(text)
        except ValueError:
            pass  # YAML's own mappings in braces
    return load_yaml(text)


def _with_whole_characters(value: Any) -> Any:  # noqa: ANN401
    r"""Return the value with surrogate pairs joined: YAML reads "\ud83d\ude00" as two characters.

    Raises:
        UnicodeDecodeError: a surrogate is unpaired.
    """
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        case Mapping():
            return {
                _with_whole_characters(key): _with_whole_characters(item)
                for key, item in value.items()
            }
        case list():
            return [_with_whole_characters(item) for item in value]
        case _:
            return value
