"""Errors that mean that the machine or its GPU is out of memory, and hints for each.

Only torch's allocator raises a dedicated exception.  Libraries with allocators of their own
(cuBLAS, cuDNN, NCCL, Triton, vLLM's sleep mode) raise a RuntimeError with CUDA's text, and vLLM
raises a ValueError with its own text at startup.
"""

import errno
import re
from collections.abc import Iterator

import torch

NO_ROOM = re.compile(
    r"\bout of memory\b"  # CUDA's own text, which most libraries pass on
    r"|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation"
    r"|(?:CUBLAS|CUBLASLT|CUDNN|CUSPARSE|CUSOLVER|CUFFT)_(?:STATUS_)?(?:ALLOC_FAILED|NO_MEMORY)"
    r"|Failed to CUDA (?:calloc|malloc|host alloc)"  # NCCL
    r"|can't allocate memory|Cannot allocate memory|std::bad_alloc",  # the host's
    re.IGNORECASE,
)
NO_CACHE = re.compile(r"No available memory for the cache blocks|KV\s+cache is needed, which")
ENGINE_IS_FULL = re.compile(r"Free memory on device .* is\s+less than|GPU memory\s+utilization or")

SMALLER = (
    "Lower rollout.gpu_memory_fraction or rollout.max_tokens, set model.gradient_checkpointing or "
    "model.lora, or choose a smaller model; `duet estimate` shows what takes the memory."
)
MORE_CACHE = (
    "Raise rollout.gpu_memory_fraction, or lower rollout.max_tokens or data.max_prompt_tokens: the "
    "engine's share cannot hold its weights and the keys and values of one completion."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one of its causes, reports that memory ran out."""
    return any(map(_says_so, _chain(error)))


def memory_advice(error: BaseException) -> str:
    """Return advice on an error that reports that memory ran out."""
    return MORE_CACHE if any(NO_CACHE.search(str(each)) for each in _chain(error)) else SMALLER


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _says_so(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, ValueError):
        return bool(NO_CACHE.search(str(error)) or ENGINE_IS_FULL.search(str(error)))
    return isinstance(error, RuntimeError) and bool(NO_ROOM.search(str(error)))
