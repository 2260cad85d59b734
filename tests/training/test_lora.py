"""Adapters: training, weight sync and checkpoints."""

import json
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from grpo.errors import RunError
from grpo.learning.optimizer import trained_parameters
from grpo.models.context import context_of
from grpo.models.locate import locate_model, open_folder
from grpo.models.lora import write_adapter
from grpo.models.policy import Policy, load_model, load_policy
from grpo.models.reference import Reference, load_reference
from grpo.rollout.engines.engine import RolloutEngine
from grpo.spec.model import Model
from tests.training.adapters import BATCH, CPU, LORA, adapted, drawn, logprobs_of, mean_gap, train
from tests.training.engines import started_engine
from tests.training.runs import (
    make_tiny_model,
    small_spec,
    write_sums,
)

pytestmark = [
    pytest.mark.timeout(240),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


def copied(policy: Policy) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in policy.weights().items()}


def largest_change(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, float]:
    return {name: float((after[name] - before[name]).abs().max()) for name in before}


def test_a_new_adapter_changes_nothing_and_comes_from_the_jobs_seed(base: Path):
    plain = Policy(load_model(open_folder(base), device=CPU), precision="float32")
    one, same, other = adapted(base), adapted(base), adapted(base, seed=1)
    assert torch.equal(logprobs_of(one), logprobs_of(plain))
    named = trained_parameters(one.model)
    assert all(
        torch.equal(weight, trained_parameters(same.model)[name]) for name, weight in named.items()
    )
    assert any(
        not torch.equal(weight, trained_parameters(other.model)[name])
        for name, weight in named.items()
    )


def test_the_shapes_of_the_weights_are_known_without_their_sums(base: Path):
    whole = Policy(load_model(open_folder(base), device=CPU), precision="float32")
    for policy in (whole, adapted(base)):
        shapes = {name: weight.shape for name, weight in policy.weights().items()}
        assert list(policy.weight_shapes().items()) == list(shapes.items())


def test_only_the_adapter_is_trained_and_the_base_stays_bit_for_bit(base: Path):
    policy = adapted(base)
    # 2 layers of 7 linear modules, each with A and B; none at the head.
    assert len(trained_parameters(policy.model)) == 2 * 7 * 2
    before = logprobs_of(policy).detach()
    train(policy)
    assert (logprobs_of(policy) - before).abs().max() > 0.5
    plain = load_model(open_folder(base), device=CPU).state_dict()
    kept = {
        name.replace(".base_layer", ""): weight
        for name, weight in policy.model.state_dict().items()
        if ".lora_" not in name
    }
    assert kept.keys() == plain.keys()
    assert all(torch.equal(kept[name], plain[name]) for name in plain)


def test_the_engine_is_handed_the_bases_own_names_with_the_updates_added(base: Path):
    policy = adapted(base)
    plain = load_model(open_folder(base), device=CPU)
    train(policy)
    weights = copied(policy)
    assert list(weights) == list(plain.state_dict())
    assert "lm_head.weight" in weights  # tied: a sync that leaves it out leaves the old one
    changed = {n for n, by in largest_change(plain.state_dict(), weights).items() if by > 0}
    assert changed == {n for n in weights if n.endswith("_proj.weight")}
    # W + B A * alpha / rank, alpha / rank = 2
    query = "model.layers.0.self_attn.q_proj"
    state = policy.model.state_dict()
    update = state[f"{query}.lora_B.default.weight"] @ state[f"{query}.lora_A.default.weight"]
    expected = plain.state_dict()[f"{query}.weight"] + 2 * update
    assert torch.equal(weights[f"{query}.weight"], expected)


def test_reading_the_weights_changes_nothing(base: Path):
    policy = adapted(base)
    train(policy)
    first, said = copied(policy), logprobs_of(policy).detach()
    for _ in range(20):
        copied(policy)
    assert max(largest_change(first, copied(policy)).values()) == 0
    assert torch.equal(logprobs_of(policy), said)


def test_chosen_layers_get_an_adapter_and_a_name_of_none_is_refused(base: Path):
    policy = adapted(base, targets=["q_proj", "down_proj"])
    layers = {name.split(".lora_")[0].split(".")[-1] for name in trained_parameters(policy.model)}
    assert layers == {"q_proj", "down_proj"}
    with pytest.raises(RunError, match=r"model.lora.targets.*nowhere_proj") as caught:
        adapted(base, targets=["nowhere_proj"])
    assert caught.value.code == "model_unusable"


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_a_head_that_is_tied_to_the_embeddings_gets_no_adapter(base: Path, target: str):
    with pytest.raises(RunError, match="between the head and the embeddings"):
        adapted(base, targets=["q_proj", target])


def test_recomputed_activations_give_an_adapter_the_same_gradients(base: Path):
    gradients = []
    for recompute in (False, True):
        settings = {"source": str(base), "lora": LORA, "gradient_checkpointing": recompute}
        policy = load_policy(
            open_folder(base),
            Model.model_validate(settings),
            checkpoint=None,
            seed=0,
            device=CPU,
            precision="float32",
        )
        logprobs_of(policy).sum().backward()
        gradients.append({n: w.grad for n, w in trained_parameters(policy.model).items()})
    kept, recomputed = gradients
    assert kept.keys() == recomputed.keys()
    assert all(torch.equal(kept[name], recomputed[name]) for name in kept)


@pytest.fixture(scope="module", params=["vllm", "transformers"])
def engine(request: pytest.FixtureRequest, base: Path) -> Iterator[RolloutEngine]:
    with closing(started_engine(base, request.param, max_batch=64)) as started:
        yield started


def test_after_several_updates_the_engine_agrees_with_the_policy(engine: RolloutEngine, base: Path):
    policy = adapted(base)
    for _ in range(4):
        train(policy, updates=2)
        engine.load_weights(policy.weights())
        assert mean_gap(policy, *drawn(engine)) < 1e-4
    requests, completions = drawn(engine)
    assert mean_gap(adapted(base), requests, completions) > 0.1  # the base would not


def test_the_reference_of_an_adapter_is_the_base_under_it(base: Path, tmp_path: Path):
    spec = small_spec(base, write_sums(tmp_path / "sums"), model={"lora": LORA})
    policy = adapted(base)
    reference = load_reference(policy, partial(locate_model, spec.model), context_tokens=None)
    plain = logprobs_of(Policy(load_model(open_folder(base), device=CPU), precision="float32"))
    train(policy)
    said = logprobs_of(policy)
    assert torch.equal(reference.logprobs(BATCH, temperature=1.0), plain)
    assert torch.equal(logprobs_of(policy), said)  # the adapter is on again, and trained
    assert said.requires_grad
    assert reference.tensors() == {}


def test_the_reference_of_all_weights_is_a_copy_that_moves_only_when_renewed(
    base: Path, tmp_path: Path
):
    spec = small_spec(base, write_sums(tmp_path / "sums"))
    policy = Policy(load_model(open_folder(base), device=CPU), precision="float32")
    reference = load_reference(policy, partial(locate_model, spec.model), context_tokens=None)
    before = logprobs_of(policy).detach()
    train(policy, rate=1e-3)
    frozen = reference.logprobs(BATCH, temperature=1.0)
    assert torch.equal(frozen, before)
    assert not frozen.requires_grad
    assert reference.tensors() == {}  # the start is in the spec: nothing to save
    reference.restore({})
    assert torch.equal(reference.logprobs(BATCH, temperature=1.0), before)

    reference.sync(policy)
    renewed = logprobs_of(policy).detach()
    saved = {name: weight.clone() for name, weight in reference.tensors().items()}
    train(policy, rate=1e-3)
    assert torch.equal(reference.logprobs(BATCH, temperature=1.0), renewed)
    continued = load_reference(policy, partial(locate_model, spec.model), context_tokens=None)
    continued.restore(saved)
    assert torch.equal(continued.logprobs(BATCH, temperature=1.0), renewed)
    assert continued.tensors().keys() == saved.keys()
    assert isinstance(continued, Reference)


def save(policy: Policy, base: Path, folder: Path) -> Path:
    assert policy.adapter is not None
    folder.mkdir()
    write_adapter(folder, policy.adapter, Model(source=str(base)))
    open_folder(base).load_tokenizer().save_pretrained(folder)
    return folder


def test_an_adapters_folder_is_read_as_the_model_it_makes(base: Path, tmp_path: Path):
    policy = adapted(base)
    train(policy)
    folder = save(policy, base, tmp_path / "adapter")
    assert locate_model(Model(source=str(folder))).path == folder
    found = open_folder(folder)
    assert found.whole == base
    assert context_of(found, None) == 64
    own = found.load_tokenizer().get_vocab()
    assert own == open_folder(base).load_tokenizer().get_vocab()
    merged = load_model(found, device=CPU).state_dict()
    handed = copied(policy)
    assert list(merged) == list(handed)
    assert max(largest_change(merged, handed).values()) == 0


def test_a_new_adapter_can_lie_on_an_adapter(base: Path, tmp_path: Path):
    first = adapted(base)
    train(first)
    folder = save(first, base, tmp_path / "first")
    second = adapted(folder, seed=1)
    torch.testing.assert_close(logprobs_of(second), logprobs_of(first), rtol=1e-4, atol=1e-4)
    train(second)
    on_top = save(second, folder, tmp_path / "second")
    assert open_folder(on_top).whole == base
    merged = load_model(open_folder(on_top), device=CPU).state_dict()
    assert max(largest_change(merged, copied(second)).values()) == 0


def test_the_same_adapter_is_saved_as_the_same_bytes(base: Path, tmp_path: Path):
    policy = adapted(base)
    one, other = save(policy, base, tmp_path / "one"), save(policy, base, tmp_path / "other")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    config = json.loads((one / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["lora_dropout"] == 0


def test_adapters_that_are_each_others_base_are_refused(base: Path, tmp_path: Path):
    policy = adapted(base)
    assert policy.adapter is not None
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, its_base in ((one, other), (other, one)):
        folder.mkdir()
        write_adapter(folder, policy.adapter, Model(source=str(its_base)))
    for folder in (one, other):
        with pytest.raises(RunError, match="is its own base"):
            locate_model(Model(source=str(folder)))


def test_an_adapter_without_its_base_is_reported(base: Path, tmp_path: Path):
    policy = adapted(base)
    assert policy.adapter is not None
    write_adapter(tmp_path, policy.adapter, Model(source=str(tmp_path / "gone")))
    with pytest.raises(RunError, match=r"the base of the adapter in .*: there is no folder .*gone"):
        open_folder(tmp_path)
