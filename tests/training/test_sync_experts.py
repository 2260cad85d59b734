"""Experts in vLLM: repacked by each sync, and compared one by one."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

from grpo.rollout.engines.engine import Request, RolloutEngine, Sampling
from tests.training.engines import started_engine
from tests.training.runs import make_tiny_model

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]

REQUESTS = [Request((place % 4, 4, 1, 5), seed=place) for place in range(16)]


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RolloutEngine, PreTrainedModel]]:
    """vLLM in a dtype, with a model of two layers of four experts."""
    folder = make_tiny_model(tmp_path_factory.mktemp("model"))  # for its tokenizer
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=7,
        hidden_size=64,
        intermediate_size=64,
        moe_intermediate_size=32,
        num_experts=4,
        num_experts_per_tok=2,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,  # pyright: ignore[reportCallIssue]
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=6,
    )
    model = Qwen3MoeForCausalLM(config).eval()
    model.save_pretrained(folder)
    engine = started_engine(folder, dtype=request.param)
    with closing(engine):
        yield engine, model


def move(model: PreTrainedModel) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))


def mean_gap(engine: RolloutEngine, model: PreTrainedModel) -> float:
    gaps: list[Tensor] = []
    completions = engine.generate(REQUESTS, Sampling(1.0, 1.0, 0, max_tokens=8))
    for request, completion in zip(REQUESTS, completions, strict=True):
        ids = torch.tensor([[*request.prompt_ids, *completion.token_ids]])
        with torch.no_grad():
            logprobs = model(ids).logits[0].log_softmax(dim=-1)
        start = len(request.prompt_ids)
        policy = logprobs[start - 1 : -1].gather(1, ids[0, start:, None])[:, 0]
        gaps.append((policy - torch.tensor(completion.sampler_logprobs)).abs())
    return torch.cat(gaps).mean().item()


def test_experts_are_the_policys_after_each_sync(started: tuple[RolloutEngine, PreTrainedModel]):
    engine, model = started
    noise = mean_gap(engine, model)
    assert engine.stale_weights(model.state_dict(), names=None) == []
    for _ in range(3):
        move(model)
        engine.load_weights(model.state_dict())
        assert engine.stale_weights(model.state_dict(), names=None) == []
        # The weights grow, and the effect of rounding with them.
        assert mean_gap(engine, model) < 50 * noise + 1e-5


def test_one_expert_that_stays_behind_is_named(started: tuple[RolloutEngine, PreTrainedModel]):
    engine, model = started
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    move(model)
    after = model.state_dict()
    name = next(each for each in after if each.startswith("model.layers.1.mlp.experts"))
    mixed = after[name].clone()  # [experts, ...]
    mixed[2] = before[name][2]
    engine.load_weights({**after, name: mixed})
    stale = engine.stale_weights(after, names=None)
    assert stale
    assert all(each.startswith(f"{name} (expert 2) in model.layers.1.mlp") for each in stale)
    assert engine.stale_weights(after, names=[each for each in after if each != name]) == []
