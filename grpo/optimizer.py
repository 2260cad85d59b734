"""AdamW and its schedule, with a state that can be saved as named tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from grpo.spec.optimizer import Optimizer


def learning_rate_at(num_updates: int, *, peak: float, warmup_updates: int) -> float:
    """The rate of the update after `num_updates`: linear to `peak` at the `warmup_updates`-th."""
    return peak * min(1.0, (num_updates + 1) / max(1, warmup_updates))


def make_optimizer(model: Module, settings: Optimizer) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        trained_parameters(model).values(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )


def trained_parameters(model: Module) -> dict[str, Parameter]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: Module) -> dict[str, Tensor]:
    """The optimizer's state, each tensor named `<weight> <state>`."""
    return {
        f"{name} {key}": tensor.contiguous()
        for name, weight in trained_parameters(model).items()
        for key, tensor in optimizer.state[weight].items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, model: Module, tensors: Mapping[str, Tensor]
) -> None:
    parameters = trained_parameters(model)
    for name, tensor in tensors.items():
        weight, key = name.rsplit(" ", 1)
        # AdamW keeps its step counts beside the host's code, whatever holds the weights.
        device = "cpu" if key == "step" else parameters[weight].device
        optimizer.state[parameters[weight]][key] = tensor.to(device)
