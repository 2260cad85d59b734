"""A spec's fields and their paths."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Path = tuple[str, ...]


def leaves(spec: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each field with its path; a list counts as one field."""
    for name, value in spec.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def pointer(path: Sequence[str]) -> str:
    """RFC 6901 JSON pointer."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
