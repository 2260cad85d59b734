"""Check of the models and data sets that users name and this server reads.

A user who names a folder could train on files that only the server can read, and download them in
a checkpoint.  So a folder and the targets of its links must lie, links resolved, below one of the
operator's roots; an adapter's base and the files of the weights must be allowed too; and a name on
the hub must be a plain hub id.  The API checks at submission, and the worker again before it reads,
because links may have changed in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from grpo.data.source_ref import Kind, is_hub_id, model_ref
from grpo.models.model_folder import base_of, check_names
from grpo.runtime.plain_files import FolderRefused, check_links
from store.settings import Settings
from store.tables import Project

EVERY = "*"


class SourceRefused(ValueError):
    """The server does not allow this source."""


@dataclass(frozen=True)
class AllowedSources:
    """Sources allowed besides built-in, uploaded and locally trained ones."""

    hub: bool
    organisations: frozenset[str]
    """Lower-case names, as the hub compares them."""
    datasets: tuple[str, ...]
    """Lower-case patterns of names; empty: see `check_dataset`."""
    roots: tuple[Path, ...]
    """Absolute folders, links resolved."""

    @classmethod
    def of(cls, settings: Settings) -> "AllowedSources":
        return cls(
            hub=settings.allow_hub,
            organisations=frozenset(name.lower() for name in settings.organisations),
            datasets=tuple(name.lower() for name in settings.datasets),
            roots=tuple(root.resolve() for root in settings.roots),
        )

    @property
    def hub_owners(self) -> frozenset[str] | None:
        """Lower-case owners of the hub whose models are allowed; None: all."""
        if not self.hub:
            return frozenset()
        return None if EVERY in self.organisations else self.organisations

    def check_hub(self, name: str) -> None:
        """Check a model's name on the hub.

        Raises:
            SourceRefused: the name is not a hub id, or its owner is not allowed.
        """
        if not is_hub_id(name):
            raise SourceRefused(f"{name!r} is not a valid hub id: write owner/name")
        if not self.hub:
            raise SourceRefused("the hub is not allowed on this server (DUET_ALLOW_HUB)")
        owner = name.partition("/")[0]
        if not self.organisations & {EVERY, owner.lower()}:
            allowed = ", ".join(sorted(self.organisations)) or "none"
            raise SourceRefused(
                f"hub organization {owner!r} is not allowed on this server; allowed: {allowed} "
                "(DUET_HUB_ORGANISATIONS)"
            )

    def check_dataset(self, name: str, *, several_projects: Callable[[], bool]) -> None:
        """Check a data set's name on the hub.

        A server with several projects, which may not trust each other, allows only data sets that
        the operator has named, because a data set's author decides what the worker reads.

        Args:
            several_projects: called only if the operator has listed no data sets.

        Raises:
            SourceRefused: the name is not a hub id, or the data set is not allowed.
        """
        self.check_hub(name)
        if not self.datasets:
            if several_projects():
                raise SourceRefused(
                    "this server has several projects, and allows only the hub data sets in "
                    f"DUET_ALLOWED_DATASETS: upload the rows of {name!r} as a file, or ask the "
                    "server's operator"
                )
        elif not any(fnmatchcase(name.lower(), pattern) for pattern in self.datasets):
            allowed = ", ".join(self.datasets)
            raise SourceRefused(
                f"data set {name!r} is not allowed on this server; allowed: {allowed} "
                "(DUET_ALLOWED_DATASETS)"
            )

    def folder(self, path: str) -> Path:
        """Resolve an absolute path to its folder, which need not exist.

        Raises:
            SourceRefused: the folder is outside the roots, holds a link that points outside, or
                refers to a base or weights that are not allowed.
        """
        try:
            return self._folder(path, adapters=frozenset())
        except SourceRefused:
            raise
        except (OSError, RuntimeError, ValueError) as error:  # a name too long, a cycle of links
            why = error.strerror if isinstance(error, OSError) else error
            raise SourceRefused(f"the folder {path!r} cannot be read: {why}") from None

    def _folder(self, path: str, *, adapters: frozenset[Path]) -> Path:
        """Resolve a folder; `adapters`: the chain of adapters of which it is the base."""
        found = Path(path).resolve()
        if not self._is_inside(found):
            raise SourceRefused(
                f"{path!r} is outside the folders allowed for models (DUET_LOCAL_ROOTS)"
            )
        try:
            check_links(found, self._is_inside)
            check_names(found)
        except FolderRefused as refused:
            raise SourceRefused(f"{path!r}: {refused}") from None
        base = base_of(found)
        if base is not None and found not in adapters:
            self._check_base(base, path, adapters | {found})
        return found

    def _check_base(self, base: str, adapter: str, adapters: frozenset[Path]) -> None:
        try:
            match model_ref(base).kind:
                case Kind.PATH:
                    self._folder(base, adapters=adapters)
                case Kind.BUILTIN:
                    pass
                case _:
                    self.check_hub(base)
        except SourceRefused as refused:
            raise SourceRefused(f"the base of the adapter in {adapter!r}: {refused}") from None

    def _is_inside(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self.roots)


def has_several_projects(session: Session) -> bool:
    """Whether the server has more than one project."""
    return len(session.scalars(select(Project.id).limit(2)).all()) > 1
