"""vLLM's own kernels for operations that it computes with plain torch on the CPU.

The CPU build has the kernels and offers them on GPUs alone.  vLLM takes further implementations of
its operations (`vllm.ir.ops`) and an order of preference (`ir_op_priority`).
"""

import torch
from torch import Tensor

PROVIDER = "cpu_kernel"
VECTOR = 16  # elements: the kernels compute whole vectors, beyond the end of other sizes


def offer_cpu_kernels() -> dict[str, list[str]]:
    """Register the kernels, once in a process, and return the order of preference."""
    from vllm import ir

    norm, add_norm = ir.ops.rms_norm, ir.ops.fused_add_rms_norm
    if PROVIDER not in norm.impls:
        norm.register_impl(PROVIDER, supports_args=_takes)(_rms_norm)
        add_norm.register_impl(PROVIDER, supports_args=_takes_sum, inplace=True)(_add_rms_norm)
    return {norm.name: [PROVIDER], add_norm.name: [PROVIDER]}


# vLLM compares the parameters' names and types with those of its own implementations.


def _takes(
    x: Tensor,
    weight: Tensor | None,
    epsilon: float,  # noqa: ARG001
    variance_size: int | None = None,
) -> bool:
    return (
        variance_size is None
        and weight is not None
        and weight.dtype == x.dtype
        and x.is_contiguous()
        and x.shape[-1] % VECTOR == 0
    )


def _rms_norm(
    x: Tensor,
    weight: Tensor | None,
    epsilon: float,
    variance_size: int | None = None,  # noqa: ARG001
) -> Tensor:
    normed = torch.empty_like(x)
    torch.ops._C.rms_norm(normed, x, weight, epsilon)
    return normed


def _takes_sum(
    x: Tensor,
    x_residual: Tensor,
    weight: Tensor | None,
    epsilon: float,
    variance_size: int | None = None,
) -> bool:
    return x_residual.is_contiguous() and _takes(x, weight, epsilon, variance_size)


def _add_rms_norm(
    x: Tensor,
    x_residual: Tensor,
    weight: Tensor | None,
    epsilon: float,
    variance_size: int | None = None,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
    return x, x_residual
