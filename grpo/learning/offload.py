"""AdamW whose state stays in the host's memory between steps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

STEP = "step"
"""The number of updates, which torch keeps where its kernel needs it."""


class OffloadedAdamW(torch.optim.AdamW):
    """torch's AdamW that moves its state to the weights' device for a step, some weights at a time,
    and back.

    Each weight is updated by the same kernel on the same numbers as without offloading, so the
    results are the same bit for bit.  With a GPU the state is in pinned memory, and the GPU holds
    the moments of one part of the weights at a time.
    """

    def __init__(
        self,
        parts: Sequence[Sequence[Parameter]],
        *,
        betas: tuple[float, float],
        weight_decay: float,
        fused: bool | None,
    ) -> None:
        """`parts`: the weights updated together, such as a layer's."""
        groups = [{"params": list(part)} for part in parts]
        super().__init__(groups, lr=0.0, betas=betas, weight_decay=weight_decay, fused=fused)

    @torch.no_grad()
    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update all weights."""
        for part in list(self.param_groups):
            weights: list[Parameter] = part["params"]
            for weight in weights:
                self._move(weight, _to(weight.device))
            with self._only(part):
                super().step()
            for weight in weights:
                self._move(weight, _to_host)
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # the host's copies are complete

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state into the host's memory, and not as torch does to the weights' device."""
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for place, of_weight in state_dict["state"].items():
            weight = weights[place]
            self.state[weight] = dict(of_weight)
            if self.defaults["fused"]:
                self.state[weight][STEP] = of_weight[STEP].to(weight.device)
            self._move(weight, _to_host)

    @contextmanager
    def _only(self, part: dict[str, Any]) -> Iterator[None]:
        groups = self.param_groups
        self.param_groups = [part]
        try:
            yield
        finally:
            self.param_groups = groups

    def _move(self, weight: Parameter, move: Callable[[Tensor], Tensor]) -> None:
        state = self.state.get(weight, {})
        for name, value in state.items():
            if name != STEP:
                state[name] = move(value)


def _to(device: torch.device) -> Callable[[Tensor], Tensor]:
    return lambda state: state.to(device, non_blocking=True)


def _to_host(state: Tensor) -> Tensor:
    """Return a copy in pinned memory, made once the GPU has computed the state; without a GPU, the
    state itself."""
    if not torch.cuda.is_available():
        return state
    pinned = torch.empty(state.shape, dtype=state.dtype, pin_memory=True)
    return pinned.copy_(state, non_blocking=True)
