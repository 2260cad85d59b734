"""Resolving of specs with common sections: equal sections are validated once."""

from collections.abc import Mapping
from typing import Any

from grpo.spec.job import JobSpec
from grpo.spec.resolve import over_preset, validated

SHARED = ("data", "rewards")
"""Sections that may be large, and whose validation depends on no other section."""


class Resolver:
    """Resolves specs as `resolve` does, without the checks that `deferral` defers."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[Any, Any]]] = {name: [] for name in SHARED}
        """Sections as written, after the merge with the preset, and as validated."""

    def resolve(self, written: Mapping[str, Any]) -> JobSpec:
        """Merge a spec over its preset and check it.

        Raises:
            SpecError: naming every invalid field.
        """
        merged = over_preset(written)
        shared = {
            name: section
            for name in SHARED
            if name in merged and (section := self._section(name, merged[name])) is not None
        }
        spec = validated({**merged, **shared}, merged, defer_costly=True)
        for name in SHARED:
            if name in merged and name not in shared:
                self._known[name].append((merged[name], getattr(spec, name)))
        return spec

    def _section(self, name: str, written: object) -> Any:  # noqa: ANN401 - a section's own type
        """Return the validated section that was written the same way; None: no such section yet."""
        for known, section in self._known[name]:
            if _are_same(known, written):
                return section
        return None


def _are_same(one: object, other: object) -> bool:
    """Whether two documents are equal, types included: 1 is neither True nor 1.0."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_same, one, other))
    return one == other
