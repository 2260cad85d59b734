"""Models and data sets that users name and that this server then reads: which of them it may.

Whoever may name a folder could train on what only the server can read, and take it home as a
checkpoint.  So a folder must lie, links followed, below one of the operator's roots, and so must
what its own links lead to; what it names itself, an adapter's base or the files of its weights,
must be allowed too; and a name of the hub must be nothing but that.  The API asks at
submission, and the worker again when it is about to read: links may have changed between.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grpo.builtin.catalogue import MODELS
from grpo.data.sources import is_hub_id
from grpo.models.model_folder import base_of, stray_shard
from store.settings import Settings

EVERY = "*"


class SourceRefused(ValueError):
    """The server does not read this."""


@dataclass(frozen=True)
class AllowedSources:
    """What this server reads, beside what is its own: built-in, uploaded or trained here."""

    hub: bool
    organisations: frozenset[str]
    """In lower case, as the hub compares them."""
    roots: tuple[Path, ...]
    """Absolute, links followed."""

    @classmethod
    def of(cls, settings: Settings) -> "AllowedSources":
        return cls(
            hub=settings.allow_hub,
            organisations=frozenset(name.lower() for name in settings.organisations),
            roots=tuple(root.resolve() for root in settings.roots),
        )

    def check_hub(self, name: str) -> None:
        """
        Raises:
            SourceRefused: it is no hub id, or none that is taken.
        """
        if not is_hub_id(name):
            raise SourceRefused(f"{name!r} is no hub id: write owner/name")
        if not self.hub:
            raise SourceRefused("this server takes nothing from the hub (DUET_ALLOW_HUB)")
        owner = name.partition("/")[0]
        if not self.organisations & {EVERY, owner.lower()}:
            there = ", ".join(sorted(self.organisations)) or "none"
            raise SourceRefused(
                f"this server takes nothing of {owner!r} from the hub, but of {there} "
                "(DUET_HUB_ORGANISATIONS)"
            )

    def folder(self, path: str) -> Path:
        """The folder that an absolute path leads to, links followed; it need not be there.

        Raises:
            SourceRefused: it lies in no root, holds a link that leads out, or names a base or
                weights that are not allowed.
        """
        try:
            return self._folder(path, adapters=frozenset())
        except SourceRefused:
            raise
        except (OSError, RuntimeError, ValueError) as error:  # of a name too long, links in a ring
            why = error.strerror if isinstance(error, OSError) else error
            raise SourceRefused(f"the folder {path!r} cannot be looked at: {why}") from None

    def _folder(self, path: str, *, adapters: frozenset[Path]) -> Path:
        """`adapters`: those whose base this is, one on another."""
        found = Path(path).resolve()
        if not self._is_inside(found):
            raise SourceRefused(
                f"{path!r} lies in no folder that this server takes models from (DUET_LOCAL_ROOTS)"
            )
        for entry in _entries(found):
            if not self._is_inside(entry.resolve()):
                name = str(entry.relative_to(found))
                raise SourceRefused(f"{name!r} in {path!r} is a link that leads elsewhere")
        if (shard := stray_shard(found)) is not None:
            raise SourceRefused(f"the index of {path!r} names {shard!r}, which is no file in it")
        base = base_of(found)
        if base is not None and found not in adapters:
            self._check_base(base, path, adapters | {found})
        return found

    def _check_base(self, base: str, adapter: str, adapters: frozenset[Path]) -> None:
        try:
            if base.startswith("/"):
                self._folder(base, adapters=adapters)
            elif base not in MODELS:
                self.check_hub(base)
        except SourceRefused as refused:
            raise SourceRefused(f"the base of the adapter in {adapter!r}: {refused}") from None

    def _is_inside(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self.roots)


def _entries(folder: Path) -> Iterator[Path]:
    """What a model's loader looks at: what lies in the folder, and in its folders."""
    yield from folder.glob("*")
    yield from folder.glob("*/*")
