"""Adapters: training, weight sync and checkpoints."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from grpo.errors import RunError
from grpo.learning.optimizer import make_optimizer, trained_parameters
from grpo.models.context import context_of
from grpo.models.export import export
from grpo.models.locate import locate_model, open_folder
from grpo.models.lora import write_adapter
from grpo.models.policy import Policy, load_model, load_policy
from grpo.models.reference import Reference, load_reference
from grpo.models.token_batch import TokenBatch, token_batch
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.spec.model import Model
from grpo.spec.optimizer import Optimizer
from grpo.spec.resolve import load_spec
from tests.training.engines import started_engine
from tests.training.runs import (
    ENVIRONMENT,
    end_of,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    timeless,
    write_sums,
)

pytestmark = [
    pytest.mark.timeout(240),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]

CPU = torch.device("cpu")
LORA = {"rank": 4, "alpha": 8.0}
BATCH = token_batch([((1, 4, 2, 5), (3, 6)), ((0, 4, 0, 5), (0, 1, 2))], device=CPU)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


def adapted(base: Path, *, seed: int = 0, **lora: Any) -> Policy:
    return load_policy(
        open_folder(base),
        Model.model_validate({"source": str(base), "lora": {**LORA, **lora}}),
        checkpoint=None,
        seed=seed,
        device=CPU,
        precision="float32",
    )


def train(policy: Policy, *, updates: int = 6, rate: float = 1e-2) -> None:
    """Train towards the batch's tokens: a large change in a few updates."""
    optimizer = make_optimizer(policy.model, Optimizer())
    optimizer.param_groups[0]["lr"] = rate
    for _ in range(updates):
        (-logprobs_of(policy)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def logprobs_of(policy: Policy, batch: TokenBatch = BATCH) -> Tensor:
    logprobs, _ = policy.logprobs(batch, temperature=1.0)
    return logprobs


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


def drawn(engine: RolloutEngine) -> tuple[list[Request], list[Completion]]:
    requests = [Request((place % 4, 4, 1, 5), seed=place) for place in range(32)]
    return requests, engine.generate(requests, Sampling(1.0, 1.0, 0, max_tokens=8))


def mean_gap(
    policy: Policy, requests: Sequence[Request], completions: Sequence[Completion]
) -> float:
    """Return the mean |policy - sampler| logprob per token."""
    rows = [
        (request.prompt_ids, completion.token_ids)
        for request, completion in zip(requests, completions, strict=True)
    ]
    sampler = torch.tensor([each for done in completions for each in done.sampler_logprobs])
    with torch.no_grad():
        return float((logprobs_of(policy, token_batch(rows, device=CPU)) - sampler).abs().mean())


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


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps with vLLM."""
    folder = tmp_path_factory.mktemp("lora")
    spec = small_spec(
        base,
        write_sums(folder / "sums"),
        model={"lora": LORA},
        optimizer={"learning_rate": 1e-2},
        algorithm={"kl": {"beta": 0.01}},
        rollout={"engine": "vllm"},
        budget={"max_steps": 4},
    )
    return run_here(spec, folder / "run")


LAST = "checkpoints/step-000004"


def grpo(*arguments: str) -> str:
    """Output of a command of `python -m grpo`."""
    command = [sys.executable, "-m", "grpo", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def policy_of(checkpoint: Path) -> Policy:
    """Load the policy as in a run that resumes from the checkpoint."""
    spec = load_spec(checkpoint / "spec.json")
    return load_policy(
        open_folder(checkpoint) if spec.model.lora is None else locate_model(spec.model),
        spec.model,
        checkpoint=checkpoint,
        seed=spec.seed,
        device=CPU,
        precision="float32",
    )


def test_a_run_with_an_adapter_learns_and_vllm_agrees_at_every_step(unbroken: Path):
    metrics = [record["payload"] for record in records(unbroken, "metric")]
    gaps = [each["learnt/sampling_logp_difference/mean"] for each in metrics]
    assert len(gaps) == 4
    assert max(gaps) < 1e-5
    # Against the base under the adapter, which the policy moves away from.
    assert 0 < 10 * metrics[0]["learnt/kl"] < metrics[-1]["learnt/kl"]


def test_the_checkpoint_is_an_adapters_folder(unbroken: Path, base: Path):
    folder = unbroken / LAST
    assert not list(folder.glob("model*"))
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        str(base)
    )
    weights = load_file(folder / "adapter_model.safetensors")
    assert len(weights) == 2 * 7 * 2
    states = load_file(folder / "optimizer.safetensors")
    assert len(states) == 3 * len(weights)
    assert all(".lora_" in name for name in states)


@pytest.mark.nightly
def test_a_continued_adapter_ends_with_the_same_bits(unbroken: Path, tmp_path: Path):
    saved = unbroken / "checkpoints/step-000002"
    spec = load_spec(unbroken / "spec.json")
    resumed = run_here(spec, tmp_path / "resumed", resume_from=saved)
    for name in ("adapter_model.safetensors", "optimizer.safetensors"):
        assert (resumed / LAST / name).read_bytes() == (unbroken / LAST / name).read_bytes()
        assert (saved / name).read_bytes() != (unbroken / LAST / name).read_bytes()
    again = [timeless(each["payload"]) for each in records(resumed, "metric")]
    assert again == [timeless(each["payload"]) for each in records(unbroken, "metric")[2:]]


def reported(run: Path, place: int) -> dict[str, float]:
    return timeless(records(run, "eval")[place]["payload"])


@pytest.mark.nightly
def test_evaluating_an_adapters_checkpoint_prints_the_score_that_the_run_reported(unbroken: Path):
    printed = grpo("eval", str(unbroken / LAST), "--json")
    assert timeless(json.loads(printed)) == reported(unbroken, -1)


@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 2.0}], ids=["whole", "adapter"])
def test_a_job_can_start_from_an_adapters_checkpoint(
    unbroken: Path, tmp_path: Path, lora: dict[str, Any] | None
):
    spec = small_spec(
        unbroken / LAST,
        write_sums(tmp_path / "sums"),
        model={"lora": lora},
        rollout={"engine": "vllm"},
        budget={"max_steps": 1},
    )
    run = run_here(spec, tmp_path / "run")
    assert end_of(run)["outcome"] == "completed"
    assert reported(run, 0) == reported(unbroken, -1)
    (metrics,) = records(run, "metric")
    assert metrics["payload"]["learnt/sampling_logp_difference/mean"] < 1e-5
    files = {path.name for path in (run / "checkpoints/step-000001").iterdir()}
    assert ("model.safetensors" in files) == (lora is None)
    assert ("adapter_model.safetensors" in files) == (lora is not None)


def test_an_exported_adapter_is_a_whole_model_with_the_policys_logprobs(
    unbroken: Path, tmp_path: Path
):
    grpo("export", str(unbroken / LAST), str(tmp_path / "out"))
    policy = policy_of(unbroken / LAST)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    exported = Policy(model.eval(), precision="float32")
    torch.testing.assert_close(logprobs_of(exported), logprobs_of(policy), rtol=1e-4, atol=1e-5)
    for name in ("vllm", "transformers"):
        with closing(started_engine(tmp_path / "out", name, max_batch=64)) as engine:
            assert mean_gap(policy, *drawn(engine)) < 1e-5
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not {name for name in names if name.startswith(("adapter", "optimizer", "spec"))}


def test_exporting_a_whole_checkpoint_leaves_out_what_only_training_needs(
    base: Path, tmp_path: Path
):
    spec = small_spec(base, write_sums(tmp_path / "sums"), budget={"max_steps": 2})
    checkpoint = run_here(spec, tmp_path / "run") / "checkpoints/step-000002"
    export(checkpoint, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    kept = {"optimizer.safetensors", "trainer_state.json", "manifest.json", "spec.json"}
    assert not names & kept
    assert kept <= {path.name for path in checkpoint.iterdir()}
    policy = Policy(load_model(open_folder(tmp_path / "out"), device=CPU), precision="float32")
    assert torch.equal(logprobs_of(policy), logprobs_of(policy_of(checkpoint)))
    with pytest.raises(RunError, match="already exists"):
        export(checkpoint, tmp_path / "out")
