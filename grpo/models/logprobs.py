"""Log-probabilities of given tokens, without holding the logits of all of them at once."""

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils.checkpoint import checkpoint

# Logits per chunk: 256 MiB in float32.  With a vocabulary of 150,000 a chunk has about 440 tokens;
# with a byte vocabulary, all of them.
LOGITS_AT_ONCE = 2**26


def token_logprobs(
    hidden: Tensor,
    head: Module,
    targets: Tensor,
    *,
    temperature: float,
    vocabulary: int,
    logits_at_once: int = LOGITS_AT_ONCE,
) -> tuple[Tensor, Tensor]:
    """Return log softmax(head(h) / temperature) at the targets, and each distribution's entropy.

    Logits that do not fit in one chunk are computed chunk by chunk, and recomputed in the backward
    pass.  The entropy carries no gradient.

    hidden: [T, H]; targets: int64 [T] -> float32 [T], float32 [T]
    """
    chunk = max(1, logits_at_once // vocabulary)
    if len(targets) <= chunk:
        return _chunk_logprobs(hidden, head, targets, temperature)
    parts = [
        checkpoint(_chunk_logprobs, *part, temperature, use_reentrant=False)
        for part in (
            (hidden[start : start + chunk], head, targets[start : start + chunk])
            for start in range(0, len(targets), chunk)
        )
    ]
    logprobs, entropies = zip(*parts, strict=True)
    return torch.cat(logprobs), torch.cat(entropies)


def _chunk_logprobs(
    hidden: Tensor, head: Module, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    logits = head(hidden).float()  # [T, V]
    if temperature != 1:
        logits = logits / temperature
    normalisers = logits.logsumexp(dim=1)  # [T]
    chosen = logits.gather(1, targets.unsqueeze(1)).squeeze(1)  # [T]
    # Last: a recomputation ends with the last tensor that the backward pass needs.
    with torch.no_grad():
        # H = log Z - sum_v p_v * logit_v, in one buffer: new ones take a quarter of the time here
        probabilities = (logits - normalisers.unsqueeze(1)).exp_()  # [T, V]
        entropies = normalisers - probabilities.mul_(logits).sum(dim=1)  # [T]
    return chosen - normalisers, entropies
