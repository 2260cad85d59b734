"""A pretrained model: real tokens, a vocabulary of 49,152, a tied head, in both precisions."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Literal

import pytest
import torch

from grpo.errors import RunError
from grpo.models.locate import open_folder
from grpo.models.policy import Policy, load_model
from grpo.models.token_batch import token_batch
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.rollout.engines.start import start_engine
from grpo.rollout.weight_proof import prove_weights_took
from tests.smollm2 import smollm2

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]

Precision = Literal["float32", "bfloat16"]
CPU = torch.device("cpu")
MOST_GAP = {"float32": (1e-4, 1e-3), "bfloat16": (0.1, 0.05)}
"""Nats a token, and more for each nat of entropy: the bounds of the trainer's warning."""


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


@pytest.fixture(scope="module")
def policy(precision: Precision) -> Policy:
    model = load_model(open_folder(smollm2()), device=CPU)
    return Policy(model, precision=precision)


@pytest.fixture(scope="module")
def engine(precision: Precision) -> Iterator[RolloutEngine]:
    started = start_engine(
        "vllm",
        model_folder=smollm2(),
        tokenizer=open_folder(smollm2()).load_tokenizer(),
        dtype=precision,
        max_model_tokens=96,
        max_batch=8,
        gpu_memory_fraction=0.3,
    )
    with closing(started):
        yield started


def requests() -> list[Request]:
    """Return two chats, four times each."""
    tokenizer = open_folder(smollm2()).load_tokenizer()
    asked = ("What is 17 + 25?", "Say hello.")
    chats = [
        str(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
            )
        )
        for text in asked
    ]
    return [Request(tuple(tokenizer.encode(chat)), seed) for seed in range(4) for chat in chats]


def move(policy: Policy) -> None:
    """Move every weight by a thousandth."""
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.mul_(1 + 1e-3 * torch.randn_like(weight))


def gap(policy: Policy, asked: Sequence[Request], drawn: Sequence[Completion]) -> float:
    """Return the mean |policy - sampler| logprob per token."""
    rows = [(each.prompt_ids, done.token_ids) for each, done in zip(asked, drawn, strict=True)]
    with torch.no_grad():
        logprobs, _ = policy.logprobs(token_batch(rows, device=CPU), temperature=1.0)
    sampler = torch.tensor([each for done in drawn for each in done.sampler_logprobs])
    return float((logprobs - sampler).abs().mean())


def test_all_weights_arrive_and_the_gap_is_of_rounding(
    engine: RolloutEngine, policy: Policy, precision: Precision
):
    move(policy)
    weights = policy.weights()
    engine.load_weights(weights)
    prove_weights_took(engine, weights, names=None)

    asked = requests()
    drawn = engine.generate(asked, Sampling(1.0, 1.0, 0, max_tokens=16))
    sampler = [each for done in drawn for each in done.sampler_logprobs]
    entropy = -sum(sampler) / len(sampler)
    base, more = MOST_GAP[precision]
    assert gap(policy, asked, drawn) < base + more * entropy


def test_a_completion_ends_with_the_end_of_the_turn(engine: RolloutEngine, policy: Policy):
    engine.load_weights(policy.weights())
    tokenizer = open_folder(smollm2()).load_tokenizer()
    asked = requests()
    drawn = engine.generate(asked, Sampling(1.0, 1.0, 0, max_tokens=48))
    ended = [each for each in drawn if each.finish_reason == "stop"]
    assert ended
    for each in drawn:
        places = [place for place, token in enumerate(each.token_ids) if token == 2]
        assert places == ([len(each.token_ids) - 1] if each in ended else [])
    assert json.loads((smollm2() / "config.json").read_text())["eos_token_id"] == 2
    assert tokenizer.decode([2]) == tokenizer.eos_token == "<|im_end|>"


def test_one_number_of_millions_that_differs_is_named(engine: RolloutEngine, policy: Policy):
    name = "model.layers.17.mlp.down_proj.weight"
    engine.load_weights(policy.weights())
    with torch.no_grad():
        weight = policy.model.get_parameter(name)
        before = weight[571, 1535].clone()
        weight[571, 1535] += 0.5
    with pytest.raises(RunError, match=name) as caught:
        prove_weights_took(engine, policy.weights(), names=None)
    assert caught.value.code == "weights_not_synced"
    with torch.no_grad():
        weight[571, 1535] = before
    prove_weights_took(engine, policy.weights(), names=None)
