"""Comparison of the fields that templates name with the fields of a source's rows."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from grpo.values.members import root_name


@dataclass(frozen=True)
class NamedFields:
    """Paths into a row, each with its pointer in the spec, by the field that it begins with.

    Comparing with a source takes time proportional to the source's fields, however many paths
    begin with one of them.
    """

    by_root: dict[str, tuple[tuple[str, str], ...]]

    @classmethod
    def of(cls, named: Iterable[tuple[str, str]]) -> Self:
        """Group `named`, pairs of pointer and path, by field."""
        by_root: dict[str, dict[tuple[str, str], None]] = {}
        for place, path in named:
            by_root.setdefault(root_name(path), {})[place, path] = None
        return cls({root: tuple(paths) for root, paths in by_root.items()})

    def missing(self, fields: Collection[str]) -> Iterator[tuple[str, str]]:
        """Return the pointers and paths whose field does not exist."""
        for root, named in self.by_root.items():
            if root not in fields:
                yield from ((place, path) for place, path in named if path not in fields)

    def paths(self) -> Iterator[str]:
        return (path for named in self.by_root.values() for _, path in named)
