"""Models and data sets that users name and that this server then reads: which of them it may.

Whoever may name a folder could train on what only the server can read, and take it home as a
checkpoint.  So a folder must lie, links followed, below one of the operator's roots, and so must
what its own links lead to; what it names itself, an adapter's base or the files of its weights,
must be allowed too; and a name of the hub must be nothing but that.  The API asks at
submission, and the worker again when it is about to read: links may have changed between.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from grpo.builtin.catalogue import MODELS
from grpo.data.sources import is_hub_id
from grpo.models.model_folder import base_of, check_names
from grpo.plain_files import FolderRefused, check_links
from store.settings import Settings
from store.tables import Project

EVERY = "*"


class SourceRefused(ValueError):
    """The server does not read this."""


@dataclass(frozen=True)
class AllowedSources:
    """What this server reads, beside what is its own: built-in, uploaded or trained here."""

    hub: bool
    organisations: frozenset[str]
    """In lower case, as the hub compares them."""
    datasets: tuple[str, ...]
    """Patterns of names, in lower case; none: see `check_dataset`."""
    roots: tuple[Path, ...]
    """Absolute, links followed."""

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
        """Whose models of the hub may be read, in lower case; None: everybody's."""
        if not self.hub:
            return frozenset()
        return None if EVERY in self.organisations else self.organisations

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

    def check_dataset(self, session: Session, name: str) -> None:
        """Of the hub.  Unless the operator has named some, a server whose projects may not trust
        each other takes none: what a data set makes the worker read is its author's to say.

        Raises:
            SourceRefused: it is no hub id, or none that is taken.
        """
        self.check_hub(name)
        if not self.datasets:
            if _has_several_projects(session):
                raise SourceRefused(
                    "this server has several projects, and takes no data set of the hub that "
                    f"DUET_ALLOWED_DATASETS does not name: upload the rows of {name!r} as a file, "
                    "or ask who runs the server"
                )
        elif not any(fnmatchcase(name.lower(), pattern) for pattern in self.datasets):
            there = ", ".join(self.datasets)
            raise SourceRefused(
                f"this server does not take {name!r} from the hub, but {there} "
                "(DUET_ALLOWED_DATASETS)"
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
            if base.startswith("/"):
                self._folder(base, adapters=adapters)
            elif base not in MODELS:
                self.check_hub(base)
        except SourceRefused as refused:
            raise SourceRefused(f"the base of the adapter in {adapter!r}: {refused}") from None

    def _is_inside(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self.roots)


def _has_several_projects(session: Session) -> bool:
    return len(session.scalars(select(Project.id).limit(2)).all()) > 1
