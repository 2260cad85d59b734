"""Log-probabilities in chunks: their values, and the work that a chunk's recomputation saves."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Linear
from torch.utils._python_dispatch import TorchDispatchMode

from grpo.models.logprobs import token_logprobs

NUM_TOKENS, HIDDEN, VOCABULARY = 20, 8, 30


@pytest.fixture
def head() -> Linear:
    torch.manual_seed(1)
    return Linear(HIDDEN, VOCABULARY, bias=False)


@pytest.fixture
def drawn() -> tuple[Tensor, Tensor]:
    """Hidden states and the tokens drawn from them."""
    torch.manual_seed(2)
    return torch.randn(NUM_TOKENS, HIDDEN), torch.randint(VOCABULARY, (NUM_TOKENS,))


class Operations(TorchDispatchMode):
    """Counts the operations that are executed, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.counts[func.__name__.split(".")[0]] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("temperature", [1.0, 0.7, 2])
@pytest.mark.parametrize("chunk", [NUM_TOKENS, 6, 1])
def test_values_are_those_of_the_softmax_bit_for_bit_in_any_chunks(
    head: Linear, drawn: tuple[Tensor, Tensor], temperature: float, chunk: int
):
    hidden, targets = drawn
    logprobs, entropies = token_logprobs(
        hidden,
        head,
        targets,
        temperature=temperature,
        vocabulary=VOCABULARY,
        logits_at_once=chunk * VOCABULARY,
    )
    logits = torch.cat([head(some) for some in hidden.split(chunk)]) / temperature
    normalisers = logits.logsumexp(dim=1)
    assert torch.equal(logprobs, logits.gather(1, targets[:, None])[:, 0] - normalisers)
    probabilities = (logits - normalisers[:, None]).exp()
    assert torch.equal(entropies, normalisers - (probabilities * logits).sum(dim=1))
    assert not entropies.requires_grad


def test_a_chunk_that_is_recomputed_computes_no_entropy_again(
    head: Linear, drawn: tuple[Tensor, Tensor]
):
    hidden, targets = drawn
    with Operations() as operations:
        logprobs, _ = token_logprobs(
            hidden,
            head,
            targets,
            temperature=1.0,
            vocabulary=VOCABULARY,
            logits_at_once=5 * VOCABULARY,
        )
        assert operations.counts["exp_"] == 4
        assert operations.counts["div"] == 0
        operations.counts.clear()
        logprobs.sum().backward()
    assert operations.counts["logsumexp"] == 4  # recomputed
    assert operations.counts["exp_"] == 0
