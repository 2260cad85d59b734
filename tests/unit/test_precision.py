"""The precision of a run, and what follows from it."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from grpo.checkpoint.environment import describe_environment, mismatches
from grpo.learning.optimizer import trained_parameters
from grpo.models.locate import open_folder
from grpo.models.policy import Policy, load_policy
from grpo.models.token_batch import token_batch
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.engines.transformers import TransformersEngine
from grpo.spec.job import JobSpec
from grpo.spec.model import Lora, Model
from grpo.spec.resolve import merge, resolve
from tests.unit.tiny_policy import tiny_policy

CPU = torch.device("cpu")


def mode(spec: JobSpec) -> str:
    return spec.algorithm.sampler_correction.mode


def written(**algorithm: object) -> dict[str, object]:
    return {"preset": None, "algorithm": algorithm}


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16"])
def test_a_specs_correction_waits_for_the_attempt(dtype: str):
    undecided = resolve({"preset": None, "model": {"dtype": dtype}})
    assert (undecided.model.dtype, mode(undecided)) == (dtype, "auto")
    assert undecided.algorithm.correction is None


@pytest.mark.parametrize(("dtype", "decided"), [("float32", "none"), ("bfloat16", "truncate")])
def test_a_resolved_spec_that_gets_another_precision_gets_its_correction(dtype: str, decided: str):
    for earlier in ("float32", "bfloat16"):
        resolved = resolve({"model": {"dtype": earlier}}).model_dump(mode="json")
        again = resolve(merge(resolved, {"model": {"dtype": dtype}}))
        assert mode(again.with_precision(dtype)) == decided  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("dtype", "decided"), [("float32", "none"), ("bfloat16", "truncate")])
def test_the_device_decides_both(dtype: str, decided: str):
    spec = resolve({"preset": None}).with_precision(dtype)  # pyright: ignore[reportArgumentType]
    assert (spec.model.dtype, mode(spec)) == (dtype, decided)
    assert (spec.algorithm.correction is None) == (decided == "none")
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("correction", "kept"),
    [
        (None, "none"),
        ({}, "truncate"),
        ({"level": "sequence"}, "truncate"),
        ({"mode": "mask"}, "mask"),
        ({"mode": "none"}, "none"),
    ],
)
def test_a_correction_that_is_written_stays(dtype: str, correction: object, kept: str):
    spec = resolve(written(sampler_correction=correction) | {"model": {"dtype": dtype}})
    assert mode(spec) == kept
    assert mode(resolve(written(sampler_correction=correction))) == kept


def adapted(folder: Path, precision: str) -> Policy:
    tiny_policy().model.save_pretrained(folder)
    return load_policy(
        open_folder(folder),
        Model(source=str(folder), lora=Lora(rank=2)),
        checkpoint=None,
        seed=0,
        device=CPU,
        precision=precision,  # pyright: ignore[reportArgumentType]
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_frozen_weights_are_in_the_precision_and_trained_ones_in_float32(
    precision: str, tmp_path: Path
):
    policy = adapted(tmp_path, precision)
    base = tiny_policy().model.state_dict()
    trained = trained_parameters(policy.model)
    assert {weight.dtype for weight in trained.values()} == {torch.float32}
    dtype = getattr(torch, precision)
    for name, weight in policy.model.named_parameters():
        if name not in trained:
            assert torch.equal(weight, base[name.replace(".base_layer", "")].to(dtype)), name
    # Rounded frequencies would put distant tokens at wrong places.
    assert {each.dtype for each in policy.model.buffers()} == {torch.float32}
    assert all(
        torch.equal(policy.weights()[name].float(), base[name].to(dtype).float()) for name in base
    )


def some_engine() -> RolloutEngine:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel()))
    return TransformersEngine(tiny_policy().model, tokenizer, end_ids=(0,), max_batch=1)


def test_a_checkpoint_states_rounded_frozen_weights(tmp_path: Path):
    engine = some_engine()
    whole, exact, rounded = (
        describe_environment(policy, engine)
        for policy in (
            tiny_policy(),
            adapted(tmp_path / "exact", "float32"),
            adapted(tmp_path / "rounded", "bfloat16"),
        )
    )
    states = [each["frozen_dtype"] for each in (whole, exact, rounded)]
    assert states == [None, None, "bfloat16"]
    # Earlier checkpoints have float32 weights under an adapter, and do not state it.
    for now, differences in [
        (exact, []),
        (rounded, ["frozen_dtype changed from None to bfloat16"]),
    ]:
        earlier = {name: value for name, value in now.items() if name != "frozen_dtype"}
        assert mismatches(earlier, now) == differences


def test_in_bfloat16_too_an_adapter_gets_float32_gradients_and_no_other_weight_does(tmp_path: Path):
    policy = adapted(tmp_path, "bfloat16")
    batch = token_batch([((5, 6, 7), (8, 9, 10, 11))], device=CPU)
    logprobs, entropies = policy.logprobs(batch, temperature=1.0)
    assert (logprobs.dtype, entropies.dtype) == (torch.float32, torch.float32)
    logprobs.sum().backward()
    trained = trained_parameters(policy.model)
    graded = {n: w.grad for n, w in policy.model.named_parameters() if w.grad is not None}
    assert graded.keys() == trained.keys()
    assert {gradient.dtype for gradient in graded.values()} == {torch.float32}
    assert any(gradient.abs().max() > 0 for gradient in graded.values())
