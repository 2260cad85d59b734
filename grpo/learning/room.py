"""Whether the engine fits on the GPU beside what the trainer keeps there."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import Module

from grpo.errors import RunError
from grpo.learning.optimizer import trained_parameters
from grpo.rollout.engines.start import resolved_engine
from grpo.runtime.card import engine_misfit
from grpo.spec.job import JobSpec


def check_room(spec: JobSpec, model: Module, reference: Module | None) -> None:
    """Check before the engine starts what every wake will need, the optimizer's state included,
    which is made by the first update.

    Raises:
        RunError: `out_of_memory`; `rollout_engine_unavailable`.
    """
    device = next(model.parameters()).device
    if device.type != "cuda" or not shares_the_gpu(spec):
        return
    card_bytes = torch.cuda.get_device_properties(device).total_memory
    require_room(spec, kept_bytes(spec, model, reference), card_bytes)


def shares_the_gpu(spec: JobSpec) -> bool:
    """Whether the engine maps memory of the GPU; transformers' sleeps in the host's memory.

    Raises:
        RunError: `rollout_engine_unavailable`.
    """
    return resolved_engine(spec.rollout.engine) == "vllm"


def require_room(spec: JobSpec, kept: int, card_bytes: int) -> None:
    """
    Raises:
        RunError: `out_of_memory`.
    """
    fraction = spec.rollout.gpu_memory_fraction
    misfit = engine_misfit(kept_bytes=kept, card_bytes=card_bytes, fraction=fraction)
    if misfit is not None:
        advice = misfit.advice[0].upper() + misfit.advice[1:]
        raise RunError("out_of_memory", misfit.reason, hint=f"{advice}.")


def kept_bytes(spec: JobSpec, model: Module, reference: Module | None) -> int:
    """Return the bytes that stay allocated on the GPU from the first update on."""
    state = spec.optimizer.state_bytes(
        num_weights=sum(weight.numel() for weight in trained_parameters(model).values()),
        num_embeddings=_num_trained_embeddings(model),
    )
    models = [model] if reference is None else [model, reference]
    tensors = chain.from_iterable((*each.parameters(), *each.buffers()) for each in models)
    return _distinct_bytes(tensors) + state


def _num_trained_embeddings(model: Module) -> int:
    embeddings = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    return sum(weight.numel() for weight in embeddings if weight.requires_grad)


def _distinct_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors, counting shared memory once."""
    return sum({each.data_ptr(): each.nbytes for each in tensors}.values())
