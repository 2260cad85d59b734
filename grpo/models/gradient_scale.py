"""Gradients of a float16 forward pass, scaled so that they do not vanish on their way back."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import Parameter

LOWERED_BY = 16.0
LEAST_PEAK = 2.0**-12


class GradientScale:
    """Scales each backward pass by a power of two, so that its largest gradient of a logprob is
    about `peak`, and scales the weights' gradients back.

    float16 has no numbers below 6e-8, and a gradient of a logprob is one over the tokens of an
    update.  The scale follows from the gradients themselves, so that no checkpoint has to keep it,
    and as a power of two it rounds nothing.
    """

    def __init__(self, weights: Iterable[Parameter]) -> None:
        self.peak = 1.0
        self.factor = 1.0  # of the backward pass at work
        self._weights = list(weights)
        for weight in self._weights:
            weight.register_hook(self._unscaled)

    def renew(self) -> None:
        """Begin another update, whose scale follows from its own gradients alone."""
        self.peak = 1.0

    def apply(self, logprobs: Tensor) -> Tensor:
        """Return the logprobs, whose gradient will be scaled."""
        return _Scaled.apply(logprobs, self)  # pyright: ignore[reportReturnType]

    def choose(self, gradient: Tensor) -> float:
        """Choose the factor of a backward pass from the gradient that it starts with."""
        largest = gradient.abs().max().item() if gradient.numel() else 0.0
        exponent = torch.tensor(largest / self.peak).frexp().exponent.item()
        usable = 0 < largest < float("inf")
        self.factor = 2.0**-exponent if usable else 1.0
        return self.factor

    def lower(self) -> bool:
        """Lower the peak where a weight's gradient has overflowed; False: none has, or the scale is
        at its lowest, and the gradients are infinite for another reason."""
        if self.peak <= LEAST_PEAK or self._are_finite():
            return False
        self.peak /= LOWERED_BY
        return True

    def _are_finite(self) -> bool:
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        return all(bool(gradient.isfinite().all()) for gradient in gradients)

    def _unscaled(self, gradient: Tensor) -> Tensor:
        return gradient / self.factor


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logprobs: Tensor, scale: GradientScale) -> Tensor:  # noqa: ANN401
        ctx.scale = scale
        return logprobs.view_as(logprobs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient * ctx.scale.choose(gradient), None
