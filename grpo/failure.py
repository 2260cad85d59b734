"""What a run says of the exception that ended it."""

import errno
import traceback
from typing import Any

import torch

from grpo.errors import RunError

FULL = {errno.ENOSPC, errno.EDQUOT}


def describe_failure(error: Exception) -> dict[str, Any]:
    """The `error` of an end record: code, message, hint, retryable, traceback."""
    known = error if isinstance(error, RunError) else _translate(error)
    return {
        "code": known.code,
        "message": known.message,
        "hint": known.hint,
        "retryable": known.retryable,
        "traceback": "".join(traceback.format_exception(error)),
    }


def _translate(error: Exception) -> RunError:
    message = str(error) or type(error).__name__
    if _out_of_memory(error):
        return RunError(
            "out_of_memory",
            message,
            hint="Lower rollout.max_tokens or rollout.gpu_memory_fraction, or choose a smaller "
            "model.",
        )
    if _disk_full(error):
        return RunError(
            "disk_full",
            message,
            hint="Free space on the worker's disk, or save checkpoints less often.",
            retryable=True,
        )
    return RunError(
        "internal_error",
        f"{type(error).__name__}: {message}",
        hint="The traceback says where; another attempt continues from the last checkpoint.",
        retryable=True,
    )


def _out_of_memory(error: Exception) -> bool:
    # Without a GPU torch has no exception of its own for it.
    allocator = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return allocator or isinstance(error, torch.OutOfMemoryError | MemoryError)


def _disk_full(error: Exception) -> bool:
    # safetensors wraps the system's error into one without a number.
    return getattr(error, "errno", None) in FULL or "No space left on device" in str(error)
