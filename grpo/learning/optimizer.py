"""AdamW in three implementations, its schedule, and its state as named tensors."""

import math
import re
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import Module, Parameter

from grpo.errors import RunError
from grpo.learning.offload import OffloadedAdamW
from grpo.spec.optimizer import Optimizer

BETAS = (0.9, 0.999)
LAYER = re.compile(r".*?\.\d+\.")  # a numbered module's name
NUMBER = ":number"  # suffix of a number that is saved as a tensor


def learning_rate_at(
    num_updates: int,
    *,
    num_skipped: int = 0,
    peak: float,
    warmup_updates: int,
    schedule: Literal["constant", "linear", "cosine"],
    total_updates: int,
) -> float:
    """Return the learning rate after `num_updates` updates: linear warm-up over `warmup_updates`.

    The warm-up counts updates that were made.  The decay covers all planned updates, of which
    `num_skipped` were skipped.

    After the warm-up the rate is constant, or decays to 0 at `total_updates`, linearly or as half a
    cosine: with u updates since the warm-up and U until the end, peak * (1 - u/U) or peak * (1 +
    cos(pi * u/U)) / 2.
    """
    if num_updates < warmup_updates:
        return peak * (num_updates + 1) / warmup_updates
    if schedule == "constant":
        return peak
    falling_updates = max(1, total_updates - warmup_updates)
    done = min(1.0, (num_updates + num_skipped - warmup_updates) / falling_updates)
    return peak * (1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2)


def make_optimizer(model: Module, settings: Optimizer) -> torch.optim.Optimizer:
    """Make AdamW over the trained weights.  Each update sets the learning rate; until then it is 0.

    On a GPU it is always fused: torch's other implementations copy all weights, or are slow.

    Raises:
        RunError: `optimizer_unavailable`.
    """
    if settings.name == "adamw_8bit":
        return _adamw_8bit(model, settings)
    fused = settings.name == "adamw_fused" or _is_on_gpu(model) or None
    decay = settings.weight_decay
    if settings.offload:
        return OffloadedAdamW(_by_layer(model), betas=BETAS, weight_decay=decay, fused=fused)
    return torch.optim.AdamW(
        trained_parameters(model).values(), lr=0.0, betas=BETAS, weight_decay=decay, fused=fused
    )


def _by_layer(model: Module) -> list[list[Parameter]]:
    """Return the trained weights in parts: each layer's, and each of the others by itself."""
    parts: dict[str, list[Parameter]] = {}
    for name, weight in trained_parameters(model).items():
        layer = LAYER.match(name)
        parts.setdefault(layer[0] if layer else name, []).append(weight)
    return list(parts.values())


def _is_on_gpu(model: Module) -> bool:
    return any(weight.is_cuda for weight in model.parameters())


def trained_parameters(model: Module) -> dict[str, Parameter]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: Module) -> dict[str, Tensor]:
    """Return the optimizer's state as tensors named `<weight> <state>`, none sharing memory.

    Its weights are known by themselves: while the model computes as an adapter's base, as beside a
    checkpoint that is being written, none requires a gradient.
    """
    tensors: dict[str, Tensor] = {}
    addresses: set[int] = set()
    optimized = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    for name, weight in model.named_parameters():
        if id(weight) not in optimized:
            continue
        for key, value in optimizer.state.get(weight, {}).items():
            if not isinstance(value, Tensor):
                dtype = torch.float64 if isinstance(value, float) else torch.int64
                tensors[f"{name} {key}{NUMBER}"] = torch.tensor(value, dtype=dtype)
                continue
            # The 8-bit states of all weights share one table of values.
            shared = value.data_ptr() in addresses
            tensors[f"{name} {key}"] = value.clone() if shared else value.contiguous()
            addresses.add(value.data_ptr())
    return tensors


def restore_optimizer(
    optimizer: torch.optim.Optimizer, model: Module, tensors: Mapping[str, Tensor]
) -> None:
    """Load the state that `optimizer_tensors` returned into the optimizer."""
    places = {name: place for place, name in enumerate(trained_parameters(model))}
    state: dict[int, dict[str, Tensor | float]] = {}
    for full_name, tensor in tensors.items():
        name, key = full_name.rsplit(" ", 1)
        number = key.endswith(NUMBER)
        of_weight = state.setdefault(places[name], {})
        of_weight[key.removesuffix(NUMBER)] = tensor.item() if number else tensor
    # Each implementation of AdamW moves its state to the right device and dtype itself.
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _adamw_8bit(model: Module, settings: Optimizer) -> torch.optim.Optimizer:
    """Make bitsandbytes' AdamW.  As its documentation advises, the states of embeddings stay in 32
    bits, since their gradients are uneven (https://huggingface.co/docs/bitsandbytes/optimizers)."""
    if not torch.cuda.is_available():
        raise _unavailable("this machine has no GPU")
    try:
        from bitsandbytes.optim import (  # pyright: ignore[reportMissingImports]
            AdamW8bit,
            GlobalOptimManager,
        )
    except ImportError as error:
        raise _unavailable(f"bitsandbytes cannot be imported: {error}") from error
    overrides = GlobalOptimManager.get_instance()
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            overrides.register_module_override(module, "weight", {"optim_bits": 32})
    return AdamW8bit(
        trained_parameters(model).values(), lr=0.0, betas=BETAS, weight_decay=settings.weight_decay
    )


def _unavailable(why: str) -> RunError:
    return RunError(
        "optimizer_unavailable",
        f"optimizer.name adamw_8bit cannot be used: {why}",
        hint="Set optimizer.name to adamw or adamw_fused; or install duet[gpu], which "
        "includes bitsandbytes, on a machine with a GPU.",
    )
