"""The data sources that a request names, each looked up once, outside of its transaction."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from api.dependencies.services import Services
from api.errors.problems import Problem
from grpo.data.rows import Row
from grpo.data.source_ref import Kind, data_ref, unknown_dataset
from grpo.spec.data import DataSource
from grpo.validation.facts import READ_WHOLE_BYTES, DataFacts, facts_of_builtin, facts_of_gym
from store import files, ids
from store.database.database import Database
from store.files import FileFacts
from store.security.allowed_sources import AllowedSources, has_several_projects

RETRY_SECONDS = 1
KEPT = 128  # sources of a request whose facts are in memory; a spec has at most 96


class ProjectData:
    """The sources that a project's specs may name: their facts, for one request."""

    def __init__(self, database: Database, project_id: UUID, allowed: AllowedSources) -> None:
        self._database = database
        self._project_id = project_id
        self._allowed = allowed
        self._known: OrderedDict[str, DataFacts | ValueError | None] = OrderedDict()
        self._several_projects: bool | None = None

    @classmethod
    def of(cls, services: Services, project_id: UUID) -> "ProjectData":
        return cls(services.database, project_id, AllowedSources.of(services.settings))

    def look_up(self, names: Iterable[str]) -> None:
        """Look up sources before `facts` is asked for each, in one statement for all files.

        Raises:
            Problem: 409, a file is still being checked.
        """
        wanted = dict.fromkeys(names)
        for name in wanted.keys() & self._known.keys():
            self._known.move_to_end(name)
        new = [name for name in wanted if name not in self._known]
        if not new:
            return
        with self._database.autocommit() as session:
            of_files = self._facts_of_files(session, new)
            for name in new:
                self._known[name] = of_files.get(name) or self._facts(session, name)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def facts(self, source: DataSource) -> DataFacts | None:
        """The facts of a source; None: a hub data set, which only workers read.

        Raises:
            ValueError: the source does not exist, or may not be used here.
            Problem: 409, a file is still being checked.
        """
        if source.is_gym:
            return facts_of_gym(source)
        self.look_up([source.source])
        found = self._known[source.source]
        if isinstance(found, ValueError):
            raise found.with_traceback(None)
        return found

    def _facts(self, session: Session, name: str) -> DataFacts | ValueError | None:
        match data_ref(name).kind:
            case Kind.BUILTIN:
                return facts_of_builtin(name)
            case Kind.GYM:
                return None  # by `facts`: two sources of a task can differ in size
            case Kind.UPLOAD:
                return ValueError(f"file {name!r} not found: upload it first")
            case Kind.HUB:
                several = partial(self._has_several_projects, session)
                try:
                    self._allowed.check_dataset(name, several_projects=several)
                except ValueError as error:
                    return error
                return None
            case _:
                return ValueError(unknown_dataset(name))

    def _has_several_projects(self, session: Session) -> bool:
        if self._several_projects is None:
            self._several_projects = has_several_projects(session)
        return self._several_projects

    def _facts_of_files(
        self, session: Session, names: Iterable[str]
    ) -> dict[str, DataFacts | ValueError]:
        """The facts of those of the names that are files' ids."""
        by_id = dict(_file_ids(names))
        if not by_id:
            return {}
        found = files.facts_of(session, self._project_id, by_id.keys())
        return {by_id[id]: self._usable(by_id[id], id, file) for id, file in found.items()}

    def _usable(self, name: str, file_id: UUID, file: FileFacts) -> DataFacts | ValueError:
        if file.problems:
            return ValueError(f"file {name!r} cannot be used: {file.problems[0]}")
        if file.num_rows is None:
            raise being_checked(name)
        small = file.num_bytes <= READ_WHOLE_BYTES
        return DataFacts(
            name,
            file.num_rows,
            file.fields,
            partial(self._first_rows, file_id),
            head_bytes=file.head_bytes,
            num_bytes=file.num_bytes,
            stored=files.artifact_key(file_id) if small else None,
        )

    def _first_rows(self, file_id: UUID) -> Sequence[Row]:
        """
        Raises:
            NotFound: the file has been deleted since.
        """
        with self._database.autocommit() as session:
            return files.first_rows(session, self._project_id, file_id)


def being_checked(name: str) -> Problem:
    """The answer to a request that needs a file which is still processing."""
    detail = (
        f"file {name} is still being checked: wait until GET /v1/files/{name} shows the status "
        '"ready", then repeat the request'
    )
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(409, "file_processing", detail, headers=headers)


def _file_ids(names: Iterable[str]) -> Iterator[tuple[UUID, str]]:
    for name in names:
        if data_ref(name).kind is Kind.UPLOAD:
            file_id = ids.decode_or_none("file", name)
            if file_id is not None:  # else no file has it
                yield file_id, name
