"""The memory estimate compared with real models and with the trainer's settings."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from bench.memory.__main__ import training
from bench.memory.cases import TINY, Case, qwen2, rows
from grpo import assembly
from grpo.estimate import memory
from grpo.estimate.activations import Training, saved_bytes
from grpo.estimate.architecture import read_architecture
from grpo.models import logprobs
from grpo.models.lora import add_adapter
from grpo.rollout.engines import vllm
from grpo.spec.model import Lora

NUM_ROWS, LENGTH, VOCABULARY, HIDDEN = 16, 96, 1000, 256
SHAPE = qwen2(VOCABULARY, HIDDEN, 704, 3, 4, 2)
SMALL = qwen2(4096, 384, 1024, 4, 6, 2)


def make_model(kind: str) -> PreTrainedModel:
    config = AutoConfig.for_model(**{**SHAPE, "model_type": kind})
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()


def kept_by_autograd(model: PreTrainedModel, *, bfloat16: bool) -> int:
    """Return the bytes kept by a forward pass up to the last norm, without weights and buffers."""
    own = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    own |= {buffer.untyped_storage().data_ptr() for buffer in model.buffers()}
    kept: dict[int, Tensor] = {}  # held, so that no address comes twice

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    computing = torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()
    with saved_tensors_hooks(pack, lambda tensor: tensor), computing:
        model.base_model(input_ids=torch.zeros(NUM_ROWS, LENGTH, dtype=torch.long), use_cache=False)
    return sum(
        tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own
    )


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
def test_kept_activations_are_counted_to_half_a_percent(kind: str, bfloat16: bool):
    model = make_model(kind)
    shape = read_architecture(model.config.to_dict())
    assert shape.num_parameters == model.num_parameters()
    width = 2 if bfloat16 else 4
    counted = saved_bytes(Training(shape, None, False, width), NUM_ROWS * LENGTH)
    counted -= NUM_ROWS * LENGTH * HIDDEN * width  # what the head reads is not in this pass
    counted -= bfloat16 * 2 * VOCABULARY * HIDDEN  # nor is its copy
    assert counted == pytest.approx(kept_by_autograd(model, bfloat16=bfloat16), rel=0.005)


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"]])
def test_kept_activations_of_an_adapter_are_counted_to_five_percent(targets: Any):
    model, lora = make_model("qwen2"), Lora(rank=8, targets=targets)
    add_adapter(model, lora, seed=0)
    model.eval()
    counting = Training(read_architecture(SHAPE), lora, False, 4)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert counting.num_trained_parameters == trained
    counted = saved_bytes(counting, NUM_ROWS * LENGTH) - NUM_ROWS * LENGTH * HIDDEN * 4
    assert counted == pytest.approx(kept_by_autograd(model, bfloat16=False), rel=0.05)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(rows(128, 16, 32), TINY), id="tiny, several micro-batches"),
        pytest.param(Case(rows(16, 32, 64), SMALL), id="8 M", marks=pytest.mark.nightly),
        pytest.param(Case(rows(16, 32, 64, model={"lora": {"rank": 16}}), SMALL), id="adapter"),
    ],
)
def test_updates_take_what_is_predicted_to_15_percent(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    predicted, measured = training(case)
    assert predicted == pytest.approx(measured, rel=0.15)


def test_the_estimate_knows_what_the_trainer_is_set_to():
    assert memory.LOGITS_AT_ONCE == logprobs.LOGITS_AT_ONCE
    assert memory.COMPLETIONS_AT_ONCE == assembly.COMPLETIONS_AT_ONCE
    cache = int(vllm.ENVIRONMENT["VLLM_CPU_KVCACHE_SPACE"]) * memory.GIB
    assert cache == memory.VLLM_CPU_CACHE_BYTES
