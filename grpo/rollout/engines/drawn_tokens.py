"""The draw of a token from its request's own uniform number, for both engines.

A completion's numbers come from its seed alone, one for each position.  A token is the one at which
the cumulative probability passes the number: equal weights give equal tokens in every engine, up to
rounding where a number falls on a boundary.
"""

import torch
from torch import Tensor
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from grpo.rollout.engines.engine import Sampling

BLOCK = 512
"""Tokens whose probabilities are added up before any is looked at, in a large vocabulary."""


def uniform_numbers(seed: int, count: int) -> Tensor:
    """Return the numbers of a request's positions: float64 [count] in [0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, dtype=torch.float64, generator=generator)


def warpers_of(sampling: Sampling) -> LogitsProcessorList:
    """Return the warpers in vLLM's order: temperature, then top-k, then top-p."""
    warpers = LogitsProcessorList()
    if sampling.temperature == 0:
        return LogitsProcessorList([TopKLogitsWarper(1)])
    if sampling.temperature != 1:
        warpers.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    return warpers


def draw_tokens(logits: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return a token of each row and its logprob.

    Logits that are not finite give a token all the same, with a logprob that is not finite.

    logits: float32 [B, V]; numbers: float64 [B] in [0, 1) -> int64 [B], float32 [B]
    """
    largest = logits.amax(dim=1, keepdim=True)  # [B, 1]
    masses = (logits - largest).exp_()  # [B, V], not normalised
    tokens, total = _pass(masses, numbers)  # [B, 1], [B, 1]
    logprobs = logits.gather(1, tokens) - largest - total.log()  # [B, 1]
    return tokens[:, 0], logprobs[:, 0].float()


def _pass(masses: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the sum of masses passes each number's share of their total, and the total."""
    size = masses.shape[1]
    if size <= 2 * BLOCK:
        sums = masses.cumsum(dim=1, dtype=torch.float64)  # [B, V]
        found = torch.searchsorted(sums, numbers[:, None] * sums[:, -1:], right=True)
        return found.clamp_(max=size - 1), sums[:, -1:]
    whole = size // BLOCK * BLOCK
    blocks = masses[:, :whole].view(len(masses), -1, BLOCK).sum(dim=2)
    rest = masses[:, whole:].sum(dim=1, keepdim=True)
    sums = torch.cat([blocks, rest], dim=1).double().cumsum(dim=1)  # [B, blocks]
    target = numbers[:, None] * sums[:, -1:]  # [B, 1]
    block = torch.searchsorted(sums, target, right=True).clamp_(max=sums.shape[1] - 1)
    before = torch.where(block > 0, sums.gather(1, (block - 1).clamp(min=0)), 0.0)
    places = block * BLOCK + torch.arange(BLOCK, device=masses.device)  # [B, BLOCK]
    inside = masses.gather(1, places.clamp(max=size - 1)).double().cumsum(dim=1)
    # Sums in another order round differently: the number falls into this block all the same.
    last = torch.nextafter(inside[:, -1:], torch.zeros_like(target))
    found = torch.searchsorted(inside, torch.minimum(target - before, last), right=True)
    return (block * BLOCK + found).clamp_(max=size - 1), sums[:, -1:]
