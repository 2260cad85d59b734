"""The error record of the exception that ended a run."""

import traceback
from typing import Any

from grpo.errors import DISK_FULL, RunError
from grpo.runtime.out_of_memory import is_out_of_memory, memory_advice


def describe_failure(error: Exception) -> dict[str, Any]:
    """Return the `error` of an end record: code, message, hint, retryable, traceback."""
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
    if is_out_of_memory(error):
        return RunError("out_of_memory", message, hint=memory_advice(error))
    if _disk_full(error):
        return RunError(
            "disk_full",
            message,
            hint="Free space on the worker's disk, or save checkpoints less often.",
        )
    return RunError(
        "internal_error",
        f"{type(error).__name__}: {message}",
        hint="See the traceback; another attempt resumes from the last checkpoint.",
    )


def _disk_full(error: Exception) -> bool:
    # safetensors wraps the system's error in one without errno.
    return getattr(error, "errno", None) in DISK_FULL or "No space left on device" in str(error)
