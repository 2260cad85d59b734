"""What a spec names by id becomes a path that the trainer can open."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.data.sources import source_names
from grpo.errors import RunError
from grpo.spec.data import DataSource
from store import checkpoints, files
from store.artifacts import Artifacts
from store.errors import NotFound
from store.ids import decode
from store.leases import Claim
from store.tables import File


def with_paths(session: Session, artifacts: Artifacts, claim: Claim) -> dict[str, Any]:
    """The claim's spec with its files and its checkpoint as paths; other names stand as they are.

    Raises:
        RunError: `input_missing`.
    """
    inputs = _Inputs(session, artifacts, claim.project_id)
    model, data = claim.spec["model"], claim.spec["data"]
    try:
        return {
            **claim.spec,
            "model": {**model, "source": inputs.model(model["source"])},
            "data": {**data, **{name: inputs.data(data[name]) for name in ("train", "eval")}},
        }
    except NotFound as error:
        raise RunError(
            "input_missing",
            f"the job needs a {error.what} that has been deleted: {error.id}",
            hint="Upload the file again, or choose another checkpoint, and submit a new job.",
        ) from error


class _Inputs:
    """Looks up what one project has uploaded and trained.  A method raises NotFound."""

    def __init__(self, session: Session, artifacts: Artifacts, project_id: UUID) -> None:
        self._session = session
        self._artifacts = artifacts
        self._project_id = project_id

    def model(self, source: str) -> str:
        if not source.startswith("ckpt_"):
            return source
        found = checkpoints.get(self._session, self._project_id, decode("ckpt", source))
        return str(self._artifacts.path(found.key))

    def data(
        self, written: str | Sequence[Mapping[str, Any]] | None
    ) -> str | list[dict[str, Any]] | None:
        """`data.train` or `data.eval`.  A source of several is named after the uploaded file, since
        its path in the artifact store says nothing."""
        if written is None:
            return None
        if isinstance(written, str):
            file = self._file(written)
            return written if file is None else self._path(file)
        sources = [DataSource.model_validate(source) for source in written]
        found = [self._file(source.source) for source in sources]
        names = source_names(
            [
                source if file is None else source.model_copy(update={"source": file.name})
                for source, file in zip(sources, found, strict=True)
            ]
        )
        return [
            {**source, "name": name, "source": self._path(file) if file else source["source"]}
            for source, file, name in zip(written, found, names, strict=True)
        ]

    def _file(self, source: str) -> File | None:
        """None: the source is no file."""
        if not source.startswith("file_"):
            return None
        return files.get(self._session, self._project_id, decode("file", source))

    def _path(self, file: File) -> str:
        return str(self._artifacts.path(files.artifact_key(file.id)))
