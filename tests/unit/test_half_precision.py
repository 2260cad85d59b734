"""The numerics of float16, of a head in float32 and of a base in 4 bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from grpo.errors import RunError
from grpo.learning.forward_backward import Baselines, backward
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row
from grpo.learning.optimizer import optimizer_tensors, trained_parameters
from grpo.models import four_bits
from grpo.models.four_bits import four_bit_config
from grpo.models.gradient_scale import LEAST_PEAK, GradientScale
from grpo.models.locate import ModelFolder, open_folder
from grpo.models.policy import Policy, load_model, load_policy
from grpo.models.token_batch import token_batch
from grpo.spec.model import Lora, Model
from grpo.spec.resolve import resolve
from tests.unit.tiny_policy import tiny_policy

CPU = torch.device("cpu")
ROWS = [((3, 4), (5, 6, 7)), ((8,), (9, 10))]


def minibatch(denominator: float) -> Minibatch:
    rows = tuple(
        Row(prompt, completion, (-3.0,) * len(completion), advantage)
        for (prompt, completion), advantage in zip(ROWS, (1.0, -1.0), strict=True)
    )
    return Minibatch(rows, (), denominator, 2, 5)


def gradients(policy: Policy, denominator: float) -> dict[str, Tensor]:
    spec = resolve({"preset": None})
    backward(
        policy,
        minibatch(denominator),
        Baselines(),
        algorithm=spec.algorithm,
        temperature=1.0,
        budget=TokenBudget(3072),
    )
    return {
        name: weight.grad
        for name, weight in policy.model.named_parameters()
        if weight.grad is not None
    }


def relative(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Return the norm of the difference of all gradients, of the expected ones' norm."""
    assert found.keys() == expected.keys()
    error = torch.cat([(found[name] - expected[name]).flatten() for name in expected])
    return float(error.norm() / torch.cat([each.flatten() for each in expected.values()]).norm())


@pytest.mark.parametrize("denominator", [5.0, 1e6, 1e12])
def test_gradients_in_float16_do_not_vanish_however_many_tokens_divide_them(denominator: float):
    expected = gradients(tiny_policy(), denominator)
    found = gradients(tiny_policy(precision="float16"), denominator)
    assert {each.dtype for each in found.values()} == {torch.float32}
    assert relative(found, expected) < 5e-3


def test_float16_rounds_less_than_bfloat16():
    exact, float16, bfloat16 = (
        tiny_policy(precision=precision).logprobs(token_batch(ROWS, device=CPU), temperature=1.0)[0]
        for precision in ("float32", "float16", "bfloat16")
    )
    assert (float16 - exact).abs().max() < (bfloat16 - exact).abs().max() / 3


def test_without_the_scale_the_same_gradients_vanish():
    policy = tiny_policy(precision="float16")
    assert policy.gradient_scale is not None
    policy.gradient_scale.choose = lambda _: 1.0  # pyright: ignore[reportAttributeAccessIssue]
    assert all(not each.any() for each in gradients(policy, 1e12).values())


@pytest.mark.parametrize("largest", [1e-20, 3e-7, 0.5, 1.0, 700.0])
def test_the_factor_is_a_power_of_two_that_brings_the_largest_gradient_to_the_peak(largest: float):
    factor = GradientScale([]).choose(torch.tensor([0.0, -largest, largest / 3]))
    assert 0.5 <= factor * torch.tensor(largest) <= 1
    mantissa, _ = torch.tensor(factor).frexp()
    assert mantissa == 0.5


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_gradients_that_cannot_be_scaled_are_left(value: float):
    assert GradientScale([]).choose(torch.tensor([value])) == 1


def test_a_gradient_that_overflows_is_computed_again_at_a_lower_scale():
    policy = tiny_policy(precision="float16")
    scale = policy.gradient_scale
    assert scale is not None
    scale.peak = 2.0**20  # beyond float16
    expected = gradients(tiny_policy(), 5.0)
    assert relative(gradients(policy, 5.0), expected) < 5e-3
    assert scale.peak < 2.0**16


def test_gradients_that_are_infinite_at_every_scale_are_given_up():
    weight = nn.Parameter(torch.ones(1))
    scale = GradientScale([weight])
    (scale.apply(weight) * float("inf")).sum().backward()
    peaks = []
    while scale.lower():
        peaks.append(scale.peak)
    assert peaks == [1 / 16, 1 / 256, 1 / 4096]
    assert peaks[-1] == LEAST_PEAK


def saved(folder: Path) -> ModelFolder:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return open_folder(folder)


def load(folder: ModelFolder, precision: Any, **settings: Any) -> Policy:
    return load_policy(
        folder,
        Model(source=str(folder.path), **settings),
        checkpoint=None,
        seed=0,
        device=CPU,
        precision=precision,
    )


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_head_in_float32_adds_no_rounding_of_its_own(
    precision: str, lora: dict[str, int] | None, tmp_path: Path
):
    folder = saved(tmp_path)
    policy = load(folder, precision, float32_head=True, lora=lora)
    batch = token_batch(ROWS, device=CPU)
    found, _ = policy.logprobs(batch, temperature=1.0)
    with torch.no_grad(), policy._computing():
        hidden = policy.model.base_model(input_ids=batch.input_ids, use_cache=False)[0]
    logits = hidden[batch.predicts].double() @ policy.head.weight.double().T
    exact = logits.log_softmax(1).gather(1, batch.targets.unsqueeze(1)).squeeze(1)
    assert (found.double() - exact).abs().max() < 1e-6
    rounded, _ = load(folder, precision, lora=lora).logprobs(batch, temperature=1.0)
    assert (rounded.double() - exact).abs().max() > 1e-5
    found.sum().backward()
    assert any(weight.grad is not None for weight in policy.model.parameters())


def test_in_float32_a_float32_head_changes_no_bit(tmp_path: Path):
    folder = saved(tmp_path)
    policies = [load(folder, "float32", float32_head=each) for each in (False, True)]
    batch = token_batch(ROWS, device=CPU)
    first, second = (policy.logprobs(batch, temperature=1.0)[0] for policy in policies)
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6)


def test_without_bitsandbytes_a_base_in_4_bits_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(four_bits, "find_spec", lambda _: None)
    with pytest.raises(RunError, match="bitsandbytes is not installed") as caught:
        four_bit_config(torch.bfloat16)
    assert "duet[gpu]" in caught.value.hint


@pytest.mark.filterwarnings("ignore")
def test_a_base_in_4_bits_reaches_the_engine_as_it_is_trained_on(tmp_path: Path):
    functional = pytest.importorskip(
        "bitsandbytes.functional", reason="bitsandbytes is not installed"
    )
    folder = saved(tmp_path)
    policy = load(folder, "float32", lora={"rank": 4, "base_4bit": True})
    whole = load_model(folder, device=CPU).state_dict()
    weights = policy.weights()
    assert set(weights) == set(whole)
    assert policy.weight_shapes() == {name: each.shape for name, each in whole.items()}
    in_4_bits = {name for name in whole if ".mlp." in name or name.endswith("_proj.weight")}
    for name, original in whole.items():
        found = weights[name]
        if name in in_4_bits:
            rounded = functional.quantize_4bit(original, quant_type="nf4", compress_statistics=True)
            error = found - functional.dequantize_4bit(*rounded)
            assert error.norm() < 0.01 * original.norm(), name
            assert 0.01 < (found - original).norm() / original.norm() < 0.15
        else:
            assert torch.equal(found, original), name
    batch = token_batch(ROWS, device=CPU)
    logprobs, _ = policy.logprobs(batch, temperature=1.0)
    merged = Qwen2ForCausalLM(policy.model.config).eval()
    merged.load_state_dict({name: weights[name] for name in whole})
    expected, _ = Policy(merged, precision="float32").logprobs(batch, temperature=1.0)
    assert (logprobs - expected).abs().max() < 1e-4
    logprobs.sum().backward()
    trained = [weight for weight in policy.model.parameters() if weight.requires_grad]
    assert all(weight.grad is not None for weight in trained)
    assert {weight.dtype for weight in trained} == {torch.float32}


def test_the_optimizers_state_is_whole_while_the_adapter_is_disabled(tmp_path: Path):
    """A checkpoint is written while the base's logprobs are computed for a penalty."""
    policy = load(saved(tmp_path), "float32", lora={"rank": 4})
    optimizer = torch.optim.AdamW(trained_parameters(policy.model).values())
    policy.logprobs(token_batch(ROWS, device=CPU), temperature=1.0)[0].sum().backward()
    optimizer.step()
    expected = optimizer_tensors(optimizer, policy.model)
    assert expected
    with policy.without_adapter():
        found = optimizer_tensors(optimizer, policy.model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_head_with_an_adapter_cannot_be_computed_in_float32(tmp_path: Path):
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "vocab_size": 50,
    }
    config = Qwen2Config(
        **small, num_hidden_layers=1, num_key_value_heads=1, tie_word_embeddings=False
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    lora = {"rank": 4, "targets": ["lm_head", "q_proj"]}
    with pytest.raises(RunError, match="float32_head cannot be used with an adapter on the head"):
        load(open_folder(tmp_path), "bfloat16", float32_head=True, lora=lora)


def test_an_adapter_as_the_source_is_not_merged_in_4_bits(tmp_path: Path):
    base = saved(tmp_path)
    adapter = ModelFolder(tmp_path, base)
    with pytest.raises(RunError, match="has to be merged into its base first"):
        load_model(adapter, device=CPU, in_4_bits=True)


def test_a_base_in_4_bits_needs_lora():
    with pytest.raises(ValueError, match="base_4bit"):
        Model.model_validate({"base_4bit": True})
    assert Lora(base_4bit=True).rank == 16
