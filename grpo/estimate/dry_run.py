"""Memory of an update, measured without a GPU and without the memory itself.

The model's own code and the policy's run at full size on fake tensors, which have a shape, a dtype
and a size, and no numbers: nothing is estimated, and no architecture needs a formula.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig
from transformers import AutoModelForCausalLM as Models
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from grpo.estimate.live_bytes import LiveBytes
from grpo.models.gradient_checkpointing import recompute_activations
from grpo.models.lora import add_adapter
from grpo.models.policy import Policy, Precision
from grpo.models.token_batch import TokenBatch
from grpo.spec.model import Model

ATTENTION = "sdpa_without_masks"


@dataclass(frozen=True)
class Rows:
    """The rows of a micro-batch, each of the same length."""

    num: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def num_completion_tokens(self) -> int:
        return self.num * self.completion_tokens


@dataclass(frozen=True)
class DryRun:
    """Measured memory [bytes]."""

    weights: int
    gradients: int
    first_peak: int
    """Beside the weights, in the first micro-batch of an update."""
    next_peak: int
    """Beside the weights, in a later micro-batch, whose gradients are added to the first's."""


def dry_run(
    config: Mapping[str, Any], settings: Model, rows: Rows, *, precision: Precision
) -> DryRun:
    """Measure the forward and backward passes of two micro-batches.

    Raises:
        ValueError, KeyError: transformers has no such model.
    """
    policy = _policy_without_memory(config, settings, precision)
    with FakeTensorMode(), LiveBytes() as live:
        _make_fake(policy.model)
        weights = live.now
        peaks: list[int] = []
        for _ in range(2):
            live.restart_peak()
            _backward(policy, rows)
            peaks.append(live.peak - weights)
        gradients = live.now - weights
    return DryRun(weights, gradients, *peaks)


def _policy_without_memory(
    config: Mapping[str, Any], settings: Model, precision: Precision
) -> Policy:
    """Make the policy as `load_policy` does, on the device `meta`."""
    AttentionInterface.register(ATTENTION, sdpa_attention_forward)
    AttentionMaskInterface.register(ATTENTION, _mask)
    dtype = torch.float32 if settings.lora is None else getattr(torch, precision)
    with torch.device("meta"):
        whole = AutoConfig.for_model(**config)
        model = Models.from_config(whole, dtype=dtype, attn_implementation=ATTENTION)
        adapter = None
        if settings.lora is not None:
            adapter = add_adapter(model, settings.lora, seed=0)
    model.eval()
    if settings.gradient_checkpointing:
        recompute_activations(model)
    return Policy(model, precision=precision, adapter=adapter)


def _mask(*arguments: Any, **named: Any) -> Tensor | None:  # noqa: ANN401
    """Return no mask but a sliding window's: transformers makes others of fake tensors alone."""
    window = named.get("local_size")
    if window is None or named["kv_length"] <= window:
        return None
    return sdpa_mask(*arguments, **named)


def _make_fake(model: nn.Module) -> None:
    """Move weights and buffers from the device `meta`, for which torch does not autocast."""
    made: dict[int, Tensor] = {}  # by the tensor that is replaced: a tied one has two names
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in made:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype)
                    if isinstance(tensor, nn.Parameter):
                        fake = nn.Parameter(fake, requires_grad=tensor.requires_grad)
                    made[id(tensor)] = fake
                tensors[name] = made[id(tensor)]  # pyright: ignore[reportArgumentType]


def _backward(policy: Policy, rows: Rows) -> None:
    num_completion_tokens = rows.num_completion_tokens
    # Positions in place of the mask of a batch, which says how many there are only by its values.
    places = torch.zeros(2, num_completion_tokens, dtype=torch.int64)
    batch = TokenBatch(
        input_ids=torch.zeros(rows.num, rows.prompt_tokens + rows.completion_tokens).long(),
        predicts=tuple(places),  # pyright: ignore[reportArgumentType]
        targets=torch.zeros(num_completion_tokens, dtype=torch.int64),
        lengths=torch.zeros(rows.num, dtype=torch.int64),
    )
    logprobs, _ = policy.logprobs(batch, temperature=1.0)
    logprobs.sum().backward()
