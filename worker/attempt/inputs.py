"""Resolution of a spec's file and checkpoint ids into paths that the trainer can open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.data.source_ref import Kind, data_ref, model_ref
from grpo.data.sources import source_names
from grpo.errors import RunError
from grpo.spec.data import SETS, DataSource
from store import files
from store.artifacts.artifacts import Artifacts
from store.errors import NotFound
from store.ids import decode
from store.jobs import checkpoints
from store.jobs.checkpoints import CheckpointRef
from store.jobs.claim import Claim
from store.security.allowed_sources import AllowedSources, SourceRefused, has_several_projects
from store.tables import Checkpoint, File, Job
from worker.attempt.downloads import ADAPTER_CONFIG, INPUT_HINT, Stored, StoredFile


@dataclass(frozen=True)
class Inputs:
    """The inputs of one attempt's trainer."""

    spec: dict[str, Any]
    """The job's spec with its files and its checkpoint as paths; other names are unchanged."""
    resume_from: str | None
    """The folder of the checkpoint that the attempt resumes from."""
    needed: Sequence[Stored]
    """Files and folders to be downloaded before these paths exist."""


def inputs_of(
    session: Session, artifacts: Artifacts, claim: Claim, *, sources: AllowedSources, into: Path
) -> Inputs:
    """Resolve a spec's inputs: local artifacts where they are, all others below `into`.

    Raises:
        RunError: `source_not_allowed`, `input_missing`.
    """
    resolver = _Resolver(session, artifacts, claim.project_id, sources, into)
    model, data = claim.spec["model"], claim.spec["data"]
    try:
        spec = {
            **claim.spec,
            "model": {**model, "source": resolver.model(model["source"])},
            "data": {**data, **{name: resolver.data(data[name]) for name in SETS if name in data}},
        }
    except NotFound as error:
        raise RunError(
            "input_missing",
            f"the job needs a {error.what} that has been deleted: {error.id}",
            hint=INPUT_HINT,
        ) from error
    except SourceRefused as error:
        raise RunError(
            "source_not_allowed",
            f"the job needs a source that this worker may not read: {error}",
            hint="Use another source, or ask the server's operator to allow this one.",
        ) from error
    resume_from = resolver.resumed(claim.resume) if claim.resume else None
    return Inputs(spec, resume_from, resolver.needed)


def with_gpus(spec: Mapping[str, Any], num_gpus: int) -> dict[str, Any]:
    """Resolve `resources.gpus: auto` to the slot's GPUs: the trainer then fails where torch cannot
    use one, instead of training on the CPU."""
    resources = spec["resources"]
    gpus = num_gpus if resources["gpus"] == "auto" else resources["gpus"]
    return {**spec, "resources": {**resources, "gpus": gpus}}


class _Resolver:
    """Resolves one project's files and checkpoints, and checks other sources.

    A method raises NotFound or SourceRefused.
    """

    def __init__(
        self,
        session: Session,
        artifacts: Artifacts,
        project_id: UUID,
        sources: AllowedSources,
        into: Path,
    ) -> None:
        self._session = session
        self._artifacts = artifacts
        self._project_id = project_id
        self._sources = sources
        self._into = into
        self.needed: list[Stored] = []

    def resumed(self, resume: CheckpointRef) -> str:
        checkpoint = self._session.get_one(Checkpoint, resume.id)
        return self._folder(checkpoint, resumed=True)

    def model(self, source: str) -> str:
        match model_ref(source).kind:
            case Kind.BUILTIN:
                return source
            case Kind.PATH:
                return str(self._sources.folder(source))
            case Kind.CHECKPOINT:
                checkpoint_id = decode("ckpt", source)
                found = checkpoints.get(self._session, self._project_id, checkpoint_id)
                return self._folder(found, resumed=False)
            case _:
                return self._of_the_hub(source)

    def data(
        self, written: str | Sequence[Mapping[str, Any]] | None
    ) -> str | list[dict[str, Any]] | None:
        """Resolve one of the sets of `data`.  In a list, a source is named after the uploaded file,
        since its path in the artifact store is opaque."""
        if written is None:
            return None
        if isinstance(written, str):
            file = self._file(written)
            return self._elsewhere(written) if file is None else self._path(file)
        sources = [DataSource.model_validate(source) for source in written]
        found = [self._file(source.source) for source in sources]
        names = source_names(
            [
                source if file is None else source.model_copy(update={"source": file.name})
                for source, file in zip(sources, found, strict=True)
            ]
        )
        return [
            {
                **source,
                "name": name,
                "source": self._path(file) if file else self._elsewhere(source["source"]),
            }
            for source, file, name in zip(written, found, names, strict=True)
        ]

    def _file(self, source: str) -> File | None:
        """Return the uploaded file that a source names, if any."""
        if data_ref(source).kind is not Kind.UPLOAD:
            return None
        return files.get(self._session, self._project_id, decode("file", source))

    def _elsewhere(self, source: str) -> str:
        """The name of a built-in, generated or hub dataset, once it is allowed."""
        if data_ref(source).kind in (Kind.BUILTIN, Kind.GYM):
            return source
        several = partial(has_several_projects, self._session)
        self._sources.check_dataset(source, several_projects=several)
        return _no_folder(source)

    def _of_the_hub(self, name: str) -> str:
        self._sources.check_hub(name)
        return _no_folder(name)

    def _path(self, file: File) -> str:
        key = files.artifact_key(file.id)
        content = StoredFile(key, file.bytes, file.sha256)
        return self._local_path(Stored(key, [content]))

    def _folder(self, checkpoint: Checkpoint, *, resumed: bool) -> str:
        listed = checkpoint.manifest["files"]
        content = [
            StoredFile(f"{checkpoint.key}/{file['path']}", file["bytes"], file["sha256"])
            for file in listed
        ]
        # The trainer of a resumed run knows the base from its own spec.
        adapter = not resumed and any(file["path"] == ADAPTER_CONFIG for file in listed)
        base = self._base(checkpoint) if adapter else None
        return self._local_path(Stored(checkpoint.key, content, resumed, base))

    def _base(self, adapter: Checkpoint) -> str | None:
        """Return the local path of an adapter's base; None: not a checkpoint, so its name is
        enough."""
        source = self._session.get_one(Job, adapter.job_id).spec["model"]["source"]
        elsewhere = self._artifacts.local(adapter.key) is None
        is_checkpoint = model_ref(source).kind is Kind.CHECKPOINT
        return self.model(source) if elsewhere and is_checkpoint else None

    def _local_path(self, stored: Stored) -> str:
        local = self._artifacts.local(stored.key)
        if local is not None:
            return str(local)
        if stored not in self.needed:
            self.needed.append(stored)
        return str(self._into / stored.key)


def _no_folder(name: str) -> str:
    if Path(name).exists():  # the trainer would open it instead of the hub's
        raise SourceRefused(f"{name!r} is a folder in the worker's working directory")
    return name
