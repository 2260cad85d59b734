"""Out-of-memory errors of every library are reported as such."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import grpo.models.policy
import grpo.rollout.engines.start
from grpo.failure import describe_failure
from grpo.learning.memory import TokenBudget
from grpo.models.locate import open_folder
from grpo.models.policy import load_model
from grpo.rollout.engines.start import start_engine

RAN_OUT: dict[str, Exception] = {
    "torch's allocator": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "torch, without an allocator": torch.AcceleratorError("CUDA error: out of memory", 2)
    if hasattr(torch, "AcceleratorError")
    else RuntimeError("CUDA error: out of memory"),
    "the driver": RuntimeError("CUDA driver error: out of memory"),
    "vLLM's sleep mode": RuntimeError(
        "CUDA Error: out of memory at /workspace/csrc/cumem_allocator.cpp:62"
    ),
    "cuBLAS": RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "NCCL": RuntimeError(
        "NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled cuda error\nLast error:\n"
        "Cuda failure 2 'out of memory'"
    ),
    "NCCL's buffers": RuntimeError("ncclUnhandledCudaError: Failed to CUDA calloc async 608 bytes"),
    "Triton": RuntimeError("Triton Error [CUDA]: out of memory"),
    "the host's allocator": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    "a mapping": RuntimeError("unable to mmap 8 bytes from file <x>: Cannot allocate memory (12)"),
    "the system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "Python": MemoryError(),
    "vLLM's share": ValueError(
        "Free memory on device cuda:0 (10.1/79.1 GiB) on startup is less than desired GPU memory "
        "utilization (0.4, 31.6 GiB). Decrease GPU memory utilization or reduce GPU memory used by "
        "other processes."
    ),
    "vLLM's cache": ValueError(
        "No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"
    ),
}
OTHERS = [
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("shape '[2, 3]' is invalid for input of size 5"),
    ValueError("out of memory is what this row is about"),
    OSError(errno.ENOENT, "out of memory.txt"),
]
every_kind = pytest.mark.parametrize("error", RAN_OUT.values(), ids=RAN_OUT.keys())


def caused_by(cause: Exception) -> Exception:
    error = RuntimeError("the warm-up failed")
    error.__cause__ = cause
    return error


@every_kind
@pytest.mark.parametrize("raised", [lambda error: error, caused_by], ids=["itself", "the cause"])
def test_memory_that_ran_out_is_called_so(
    error: Exception, raised: Callable[[Exception], Exception]
):
    described = describe_failure(raised(error))
    assert (described["code"], described["retryable"]) == ("out_of_memory", False)
    assert "rollout.gpu_memory_fraction" in described["hint"]
    too_small = "No available memory" in str(error)
    assert described["hint"].startswith("Raise" if too_small else "Lower")


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_not(error: Exception):
    assert describe_failure(error)["code"] == "internal_error"


@every_kind
def test_it_keeps_its_name_where_an_engine_starts(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(grpo.rollout.engines.start, "_starter", lambda _: fail)
    monkeypatch.setattr(grpo.rollout.engines.start, "end_token_ids", lambda *_: (0,))
    with pytest.raises(type(error)) as caught:
        start_engine(
            "transformers",
            model_folder=tmp_path,
            tokenizer=None,  # pyright: ignore[reportArgumentType]
            dtype="bfloat16",
            max_model_tokens=8,
            max_batch=1,
            gpu_memory_fraction=0.4,
        )
    assert describe_failure(caught.value)["code"] == "out_of_memory"


@every_kind
def test_it_keeps_its_name_where_a_model_loads(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise error

    auto = grpo.models.policy.AutoModelForCausalLM
    monkeypatch.setattr(auto, "from_pretrained", fail)
    with pytest.raises(type(error)) as caught:
        load_model(open_folder(tmp_path), device=torch.device("cpu"))
    assert describe_failure(caught.value)["code"] == "out_of_memory"


@pytest.mark.parametrize("which", ["cuBLAS", "torch's allocator", "the host's allocator"])
def test_a_micro_batch_is_halved_whichever_library_ran_out(which: str):
    tried: list[int] = []

    def compute(tokens: int) -> int:
        tried.append(tokens)
        if tokens > 16:
            raise RAN_OUT[which]
        return tokens

    assert TokenBudget(64).compute(compute, longest_row=8) == 16
    assert tried == [64, 32, 16]
