"""The spec of a job that starts from another job's checkpoint."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from api.schemas.jobs import Fork
from api.submission.check import SpecChecker
from grpo.spec.resolve import SpecError, merge
from grpo.validation.check import CheckedSpec
from store import ids
from store.errors import Conflict, NotFound
from store.jobs import checkpoints
from store.tables import Checkpoint, Job


def held_checkpoint(session: Session, job: Job, name: str) -> Checkpoint:
    """One of a job's checkpoints, locked against deletion until the transaction ends.

    Raises:
        SpecError: the checkpoint is not one of this job's.
        Conflict: the checkpoint is damaged.
    """
    none = SpecError([("/checkpoint", f"job {ids.encode('job', job.id)} has no checkpoint {name}")])
    try:
        checkpoint = checkpoints.hold(session, job.project_id, ids.decode("ckpt", name))
    except NotFound:
        raise none from None
    if checkpoint.job_id != job.id:
        raise none
    if checkpoint.damaged_at is not None:
        raise Conflict(f"checkpoint {name} is damaged: fork from another one")
    return checkpoint


def check_fork(fork: Fork, spec: Mapping[str, Any], checker: SpecChecker) -> CheckedSpec:
    """The forked job's spec with the fork's overrides, checked like a submission's.

    Raises:
        SpecError: with pointers into the fork.
    """
    refused = list(_refused(fork.overrides))
    if refused:
        raise SpecError(refused)
    start = {"model": {"source": fork.checkpoint, "revision": None}}
    written = merge(merge(spec, start), fork.overrides)
    try:
        return checker.check(written)
    except SpecError as error:
        wrong = [(f"/overrides{pointer}", detail) for pointer, detail in error.problems]
        raise SpecError(wrong) from None


def _refused(overrides: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "preset" in overrides:
        yield (
            "/overrides/preset",
            (
                "a fork keeps its job's complete spec, so a preset has no effect: "
                "override the fields themselves"
            ),
        )
    model = overrides.get("model")
    for name in ("source", "revision"):
        if isinstance(model, Mapping) and name in model:
            yield f"/overrides/model/{name}", "a fork starts from its checkpoint"
