"""Errors of a run as shown to the user."""

import pytest
import torch

from grpo.errors import RunError
from grpo.failure import describe_failure


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (RunError("bad_data", "line 3", hint="Mend it."), "bad_data", False),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", False),
        (MemoryError(), "out_of_memory", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), "out_of_memory", False),
        (OSError(28, "No space left on device"), "disk_full", True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "disk_full", True),
        (ZeroDivisionError("division by zero"), "internal_error", True),
    ],
)
def test_every_exception_has_a_stable_code_and_a_hint(error: Exception, code: str, retryable: bool):
    described = describe_failure(error)
    assert (described["code"], described["retryable"]) == (code, retryable)
    assert described["message"]
    assert described["hint"]
    assert type(error).__name__ in described["traceback"]
