"""The fields that templates name, compared with those that a source's rows have."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from grpo.values.members import root_name


@dataclass(frozen=True)
class NamedFields:
    """Paths into a row, each with the place where it is written, by the field that it begins with.

    The comparison with a source takes as much work as the source has fields, however many paths
    begin with one of them.
    """

    by_root: dict[str, tuple[tuple[str, str], ...]]

    @classmethod
    def of(cls, named: Iterable[tuple[str, str]]) -> Self:
        """`named`: places and paths."""
        by_root: dict[str, dict[tuple[str, str], None]] = {}
        for place, path in named:
            by_root.setdefault(root_name(path), {})[place, path] = None
        return cls({root: tuple(paths) for root, paths in by_root.items()})

    def missing(self, fields: Collection[str]) -> Iterator[tuple[str, str]]:
        """The places and paths for which there is no field."""
        for root, named in self.by_root.items():
            if root not in fields:
                yield from ((place, path) for place, path in named if path not in fields)

    def paths(self) -> Iterator[str]:
        return (path for named in self.by_root.values() for _, path in named)
