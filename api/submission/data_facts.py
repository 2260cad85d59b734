"""Facts of a project's data sources."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from api.errors.problems import Problem
from grpo.data.rows import Row
from grpo.data.source_ref import Kind, data_ref, unknown_dataset
from grpo.spec.data import DataSource
from grpo.validation.facts import READ_WHOLE_BYTES, DataFacts, facts_of_builtin
from store import files, ids
from store.errors import NotFound
from store.security.allowed_sources import AllowedSources

RETRY_SECONDS = 1


@dataclass(frozen=True)
class ProjectData:
    """The sources that a project's specs may name."""

    session: Session
    project_id: UUID
    sources: AllowedSources

    def facts(self, source: DataSource) -> DataFacts | None:
        """The facts of a source; None: a hub data set, which only workers read.

        Raises:
            ValueError: the source does not exist, or may not be used here.
            Problem: 409, a file is still being checked.
        """
        name = source.source
        match data_ref(name).kind:
            case Kind.BUILTIN:
                return facts_of_builtin(name)
            case Kind.UPLOAD:
                return self._facts_of_file(name)
            case Kind.HUB:
                self.sources.check_dataset(self.session, name)
                return None
            case _:
                raise ValueError(unknown_dataset(name))

    def _facts_of_file(self, name: str) -> DataFacts:
        try:
            file = files.get(self.session, self.project_id, ids.decode("file", name))
        except (ValueError, NotFound):
            raise ValueError(f"file {name!r} not found: upload it first") from None
        if file.problems:
            raise ValueError(f"file {name!r} cannot be used: {file.problems[0]}")
        if file.num_rows is None:
            raise being_checked(name)

        def rows() -> Iterator[Row]:
            yield from files.first_rows(self.session, self.project_id, file.id)

        stored = files.artifact_key(file.id) if file.bytes <= READ_WHOLE_BYTES else None
        return DataFacts(file.num_rows, file.fields, rows, stored)


def being_checked(name: str) -> Problem:
    """The answer to a request that needs a file which is still processing."""
    detail = (
        f"file {name} is still being checked: wait until GET /v1/files/{name} shows the status "
        '"ready", then repeat the request'
    )
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(409, "file_processing", detail, headers=headers)
