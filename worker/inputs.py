"""What a spec names by id becomes a path that the trainer can open."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.errors import RunError
from store import checkpoints, files
from store.artifacts import Artifacts
from store.errors import NotFound
from store.ids import decode
from store.leases import Claim


def with_paths(session: Session, artifacts: Artifacts, claim: Claim) -> dict[str, Any]:
    """The claim's spec with its files and its checkpoint as paths; other names stand as they are.

    Raises:
        RunError: `input_missing`.
    """
    model, data = claim.spec["model"], claim.spec["data"]
    try:
        if model["source"].startswith("ckpt_"):
            model = {**model, "source": _checkpoint(session, artifacts, claim, model["source"])}
        for name in ("train", "eval"):
            if (data[name] or "").startswith("file_"):
                data = {**data, name: _file(session, artifacts, claim.project_id, data[name])}
    except NotFound as error:
        raise RunError(
            "input_missing",
            f"the job needs a {error.what} that has been deleted: {error.id}",
            hint="Upload the file again, or choose another checkpoint, and submit a new job.",
        ) from error
    return {**claim.spec, "model": model, "data": data}


def _checkpoint(session: Session, artifacts: Artifacts, claim: Claim, text: str) -> str:
    found = checkpoints.get(session, claim.project_id, decode("ckpt", text))
    return str(artifacts.path(found.key))


def _file(session: Session, artifacts: Artifacts, project_id: UUID, text: str) -> str:
    found = files.get(session, project_id, decode("file", text))
    return str(artifacts.path(files.artifact_key(found.id)))
