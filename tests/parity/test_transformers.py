"""Log-probabilities compared with those from transformers' own logits."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from grpo.models.logprobs import token_logprobs
from grpo.models.policy import Policy
from grpo.models.token_batch import token_batch

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ROWS = [((5, 6, 7), (8, 9, 10, 11)), ((1,), (2, 3)), ((4,) * 9, (90,))]


@pytest.fixture(params=["tied", "untied"])
def policy(request: pytest.FixtureRequest) -> Policy:
    torch.manual_seed(0)
    model = (
        Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True))
        if request.param == "tied"
        else LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False))
    )
    return Policy(model.eval(), precision="float32")


def alone(
    policy: Policy, prompt: tuple[int, ...], completion: tuple[int, ...], *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return logprobs and entropies [|o|] of one unpadded row through the whole model."""
    ids = torch.tensor([[*prompt, *completion]])
    logits = policy.model(input_ids=ids).logits[0, len(prompt) - 1 : -1] / temperature  # [T, V]
    everything: Tensor = logits.log_softmax(dim=-1)
    chosen = everything[torch.arange(len(completion)), torch.tensor(completion)]
    return chosen, -(everything.exp() * everything).sum(dim=-1)


def gradients(module: nn.Module) -> list[Tensor]:
    return [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_entropies_and_gradients_equal_those_of_the_full_logits(
    policy: Policy, temperature: float
):
    expected = [alone(policy, prompt, said, temperature=temperature) for prompt, said in ROWS]
    theirs, their_entropies = map(torch.cat, zip(*expected, strict=True))
    theirs.square().sum().backward()
    their_gradients = gradients(policy.model)

    policy.model.zero_grad()
    ours, our_entropies = policy.logprobs(
        token_batch(ROWS, device=policy.device), temperature=temperature
    )
    ours.square().sum().backward()

    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(our_entropies, their_entropies, rtol=1e-5, atol=1e-5)
    assert not our_entropies.requires_grad
    torch.testing.assert_close(gradients(policy.model), their_gradients, rtol=1e-4, atol=1e-4)


def test_a_vocabulary_in_chunks_gives_the_same_values_and_gradients():
    torch.manual_seed(0)
    head = nn.Linear(8, 97)
    targets = torch.randint(97, (11,))
    results = []
    for logits_at_once in (2**26, 97 * 3):  # all at once, and three tokens at a time
        head.zero_grad()
        hidden = torch.randn(11, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        logprobs, entropies = token_logprobs(
            hidden,
            head,
            targets,
            temperature=0.5,
            vocabulary=97,
            logits_at_once=logits_at_once,
        )
        logprobs.square().sum().backward()
        results.append([logprobs, entropies, hidden.grad, *gradients(head)])
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)
