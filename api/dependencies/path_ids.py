"""Ids in paths: a malformed id is answered with 404, like an unknown one.

Each dependency is a coroutine, because FastAPI runs others in a thread.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path

from store import ids
from store.errors import NotFound


def decoded(kind: ids.Prefix, what: str, text: str) -> UUID:
    """The UUID of a prefixed id.

    Raises:
        NotFound: the id is malformed.
    """
    try:
        return ids.decode(kind, text)
    except ValueError:
        raise NotFound(what, text) from None


async def _job_id(job: Annotated[str, Path(description="Job id, `job_...`.")]) -> UUID:
    return decoded("job", "job", job)


async def _file_id(file: Annotated[str, Path(description="File id, `file_...`.")]) -> UUID:
    return decoded("file", "file", file)


async def _webhook_id(
    webhook: Annotated[str, Path(description="Webhook id, `hook_...`.")],
) -> UUID:
    return decoded("hook", "webhook", webhook)


async def _delivery_id(
    delivery: Annotated[str, Path(description="Delivery id, `msg_...`.")],
) -> UUID:
    return decoded("msg", "delivery", delivery)


async def _checkpoint_id(
    checkpoint: Annotated[str, Path(description="Checkpoint id, `ckpt_...`.")],
) -> UUID:
    return decoded("ckpt", "checkpoint", checkpoint)


async def _worker_id(
    worker: Annotated[str, Path(description="Worker id, `work_...`.")],
) -> UUID:
    return decoded("work", "worker", worker)


async def _sweep_id(sweep: Annotated[str, Path(description="Sweep id, `swp_...`.")]) -> UUID:
    return decoded("swp", "sweep", sweep)


async def _key_id(key: Annotated[str, Path(description="Key id, `key_...`.")]) -> UUID:
    return decoded("key", "key", key)


async def _project_id(
    project: Annotated[str, Path(description="Project id, `proj_...`.")],
) -> UUID:
    return decoded("proj", "project", project)


JobId = Annotated[UUID, Depends(_job_id)]
FileId = Annotated[UUID, Depends(_file_id)]
CheckpointId = Annotated[UUID, Depends(_checkpoint_id)]
WebhookId = Annotated[UUID, Depends(_webhook_id)]
DeliveryId = Annotated[UUID, Depends(_delivery_id)]
WorkerId = Annotated[UUID, Depends(_worker_id)]
SweepId = Annotated[UUID, Depends(_sweep_id)]
KeyId = Annotated[UUID, Depends(_key_id)]
ProjectId = Annotated[UUID, Depends(_project_id)]
