"""Linear layers with oneDNN, where torch's default for float32 on the CPU is slower.

torch multiplies float32 matrices with MKL, which does not use the full vector width of AMD
processors; oneDNN, which torch includes as well, does.  `python -m bench.onednn` measures both.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def use_onednn(model: nn.Module) -> None:
    """Make a float32 model's linear layers compute with oneDNN; weights and names stay the same.

    No effect on a GPU, or if torch was built without oneDNN.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.device.type == "cpu":
            module.__class__ = OneDnnLinear


class OneDnnLinear(nn.Linear):
    """A linear layer computed by oneDNN."""

    def forward(self, input: Tensor) -> Tensor:
        if input.numel() == 0:  # oneDNN rejects empty tensors
            return super().forward(input)
        return _Linear.apply(input, self.weight, self.bias)  # pyright: ignore[reportReturnType]


class _Linear(torch.autograd.Function):
    """y = x W^T + b.  x: [..., I], W: [O, I], b: [O] -> [..., O]"""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ANN401
        needed = ctx.needs_input_grad[1]  # without a gradient, the input can be freed
        ctx.save_for_backward(input if needed else None, weight)
        return _multiply(input, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - has what forward returned
        ctx: Any,  # noqa: ANN401
        gradient: Tensor,
    ) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias = ctx.needs_input_grad
        flat = gradient.reshape(-1, gradient.shape[-1])  # [N, O]
        return (
            _multiply(gradient, weight.T) if of_input else None,
            _multiply(flat.T, input.reshape(-1, input.shape[-1]).T) if of_weight else None,
            flat.sum(dim=0) if of_bias else None,
        )


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return left right^T + bias: [..., K], [O, K], [O] -> [..., O].  The operator has no public
    name; torch's compiler uses it."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
