"""Storage failures as answers: a full disk or artifact store."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from api.errors.problems import FieldProblem, Problem
from grpo.errors import DISK_FULL
from store.errors import ArtifactsFull

log = structlog.get_logger()


@contextmanager
def storing(pointer: str) -> Iterator[None]:
    """Turn storage failures into problems.

    Args:
        pointer: the field of the request whose content is stored here.

    Raises:
        Problem: 507, the disk is full; 503, a write failed for another reason.
    """
    try:
        yield
    except ArtifactsFull as error:
        raise _no_room(pointer, error) from None
    except OSError as error:
        if error.errno in DISK_FULL:
            raise _no_room(pointer, error) from None
        raise _refused(error) from None


def _refused(error: OSError) -> Problem:
    log.error("disk_refused", error=str(error))
    detail = f"the server cannot store the content: {error.strerror}; nothing was stored"
    return Problem(503, "artifact_unavailable", detail)


def _no_room(pointer: str, error: Exception) -> Problem:
    log.error("store_full", error=str(error))
    detail = (
        "the server has no storage left, and nothing was stored: delete files and "
        "jobs that are not needed, or ask its operator"
    )
    errors = [FieldProblem(detail=detail, pointer=pointer)]
    return Problem(507, "store_full", detail, errors=errors)
