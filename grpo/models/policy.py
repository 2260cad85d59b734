"""The policy: a causal language model with the logprobs of its completions."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import Module
from transformers import AutoModelForCausalLM, PreTrainedModel

from grpo.errors import RunError
from grpo.models.context import config_with_context
from grpo.models.dtype import keep_source_dtype
from grpo.models.float32_head import Float32Head
from grpo.models.four_bits import four_bit_config, keep_layout
from grpo.models.gradient_checkpointing import recompute_activations
from grpo.models.gradient_scale import GradientScale
from grpo.models.locate import ModelFolder
from grpo.models.logprobs import token_logprobs
from grpo.models.lora import MergedWeights, add_adapter, continue_adapter, merge_adapter
from grpo.models.onednn import use_onednn
from grpo.models.token_batch import TokenBatch
from grpo.runtime.out_of_memory import is_out_of_memory
from grpo.spec.model import Model

Precision = Literal["float32", "bfloat16", "float16"]


class Policy:
    """A policy whose trained weights and gradients are float32, and whose forward pass computes in
    `precision`: bfloat16 and float16 mean autocast, float16 scaled gradients as well.  In float32
    the model's linear layers use oneDNN (see `grpo.models.onednn`).

    With an adapter, `model` is the base with the adapter's layers in place: its own weights are
    frozen, in `precision`, and only the adapter's are trained.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        precision: Precision,
        adapter: PeftModel | None = None,
        float32_head: bool = False,
    ) -> None:
        if precision == "float32":
            use_onednn(model)
        self.model = model
        self.precision: Precision = precision
        self.adapter = adapter
        self.float32_head = float32_head
        self.gradient_scale: GradientScale | None = None
        if precision == "float16":
            trained = (weight for weight in model.parameters() if weight.requires_grad)
            self.gradient_scale = GradientScale(trained)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def head(self) -> Module:
        head = self.model.get_output_embeddings()
        assert head is not None  # every causal language model has one
        return head

    def logprobs(self, batch: TokenBatch, *, temperature: float) -> tuple[Tensor, Tensor]:
        """Return each completion token's log-probability and entropy: float32 [T], [T]."""
        with self._computing():
            hidden = self.model.base_model(input_ids=batch.input_ids, use_cache=False)[0]  # [R,L,H]
            logprobs, entropies = token_logprobs(
                hidden[batch.predicts],
                Float32Head(self.head) if self.float32_head else self.head,
                batch.targets,
                temperature=temperature,
                vocabulary=self.model.config.get_text_config().vocab_size,
            )
        if self.gradient_scale is not None:
            logprobs = self.gradient_scale.apply(logprobs)
        return logprobs, entropies

    def weights(self) -> Mapping[str, Tensor]:
        """Return all weights that an engine needs, a tied head included."""
        return self.model.state_dict() if self.adapter is None else MergedWeights(self.model)

    def weight_shapes(self) -> Mapping[str, torch.Size]:
        """Return the shapes of `weights`, without computing an adapter's updates."""
        if self.adapter is not None:
            return MergedWeights(self.model).shapes
        return {name: weight.shape for name, weight in self.model.state_dict().items()}

    def without_adapter(self) -> AbstractContextManager[object]:
        """Disable the adapter within the context: the model computes as its base."""
        assert self.adapter is not None
        return self.adapter.disable_adapter()

    def _computing(self) -> AbstractContextManager[object]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, self.precision))


def load_policy(
    folder: ModelFolder,
    settings: Model,
    *,
    checkpoint: Path | None,
    seed: int,
    device: torch.device,
    precision: Precision,
) -> Policy:
    """Load the policy without dropout: all of a folder's weights, or an adapter on top of them.

    An adapter is new, or continues from the `checkpoint`.

    Raises:
        RunError: `model_unusable`, if it does not load, or its logits are not finite or are
            transformed after the head.
    """
    # Frozen weights need no more precision than the forward pass.
    dtype = torch.float32 if settings.lora is None else getattr(torch, precision)
    model = load_model(
        folder,
        device=device,
        dtype=dtype,
        context_tokens=settings.context_tokens,
        in_4_bits=settings.lora is not None and settings.lora.base_4bit,
    )
    adapter = None
    if settings.lora is not None:
        adapter = (
            add_adapter(model, settings.lora, seed=seed)
            if checkpoint is None
            else continue_adapter(model, checkpoint)
        )
        Module.to(adapter, device)
    model.eval()  # dropout would make the policy differ from the sampler
    if settings.gradient_checkpointing:
        recompute_activations(model)
    policy = Policy(model, precision=precision, adapter=adapter, float32_head=settings.float32_head)
    _check_head(policy)
    return policy


def load_model(
    folder: ModelFolder,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    context_tokens: int | None = None,
    in_4_bits: bool = False,
) -> PreTrainedModel:
    """Load the model of a Hugging Face folder; an adapter is merged into its base in float32.

    `dtype`: of the weights; buffers, such as rotary frequencies, keep their dtype.
    `context_tokens`: `model.context_tokens`; `in_4_bits`: `model.lora.base_4bit`.

    Raises:
        RunError: `model_unusable`.
    """
    if folder.base is not None:
        _check_not_merged_in_4_bits(folder, in_4_bits)
        base = load_model(folder.base, device=device, context_tokens=context_tokens)
        merged = merge_adapter(base, folder.path)
        for weight in merged.parameters():
            weight.data = weight.data.to(dtype)
        return merged
    config = None if context_tokens is None else config_with_context(folder.path, context_tokens)
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder.path,
            config=config,
            dtype=dtype,
            **({"quantization_config": four_bit_config(dtype)} if in_4_bits else {}),
            device_map={"": device} if in_4_bits else None,
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        raise RunError(
            "model_unusable",
            f"the model in {folder.path} does not load: {error}",
            hint="Use a folder that transformers loads: config.json, safetensors weights and a "
            "tokenizer.",
        ) from error
    keep_layout(model)
    keep_source_dtype(model, folder.path)
    Module.to(model, device)
    return model.eval()


def _check_not_merged_in_4_bits(folder: ModelFolder, in_4_bits: bool) -> None:
    if in_4_bits:
        raise RunError(
            "model_unusable",
            f"model.lora.base_4bit cannot be used with {folder.path}, an adapter that has to be "
            "merged into its base first",
            hint="Export the merged model and train on that, or set model.lora.base_4bit to false.",
        )


def _check_head(policy: Policy) -> None:
    """Refuse models that scale or cap their logits after the head, which `logprobs` ignores, and
    heads that cannot be computed in float32."""
    if policy.float32_head and not isinstance(policy.head, nn.Linear):
        raise RunError(
            "model_unusable",
            "model.float32_head cannot be used with an adapter on the head",
            hint="Remove the head from model.lora.targets, or set model.float32_head to false.",
        )
    ids = torch.tensor([[0, 1]], device=policy.device)
    with torch.no_grad():
        hidden = policy.model.base_model(input_ids=ids, use_cache=False)[0]
        ours = policy.head(hidden)
        theirs = policy.model(input_ids=ids, use_cache=False).logits
    if not torch.isfinite(theirs).all():
        raise RunError(
            "model_unusable",
            "the model's logits are NaN or infinite",
            hint="Check the model's weights: their files may be damaged.",
        )
    if not torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
        raise RunError(
            "model_unusable",
            f"{policy.model.config.model_type} models transform their logits after the head",
            hint="Choose a model whose logits are the head's output, for instance Qwen2 or Llama.",
        )
