"""Why a run ended, in a form that reaches the user."""

import pytest
import torch

from grpo.errors import RunError
from grpo.failure import describe_failure
from grpo.rollout.weight_sync import check_weights_took


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
def test_every_exception_has_a_stable_code_and_says_what_to_do(
    error: Exception, code: str, retryable: bool
):
    described = describe_failure(error)
    assert (described["code"], described["retryable"]) == (code, retryable)
    assert described["message"]
    assert described["hint"]
    assert type(error).__name__ in described["traceback"]


def test_equal_weights_pass_and_a_small_gap_on_a_step_of_ties_is_no_question():
    check_weights_took(torch.full((100,), 1e-6), precision="float32")
    check_weights_took(torch.full((100,), 0.01), precision="bfloat16")
    check_weights_took(torch.empty(0), precision="float32")


@pytest.mark.parametrize("gap", [0.015, float("nan")])
def test_an_engine_with_other_weights_ends_the_run(gap: float):
    with pytest.raises(RunError) as caught:
        check_weights_took(torch.full((100,), gap), precision="float32")
    assert caught.value.code == "weights_not_synced"
