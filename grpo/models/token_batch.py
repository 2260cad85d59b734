"""Token batches: the rows computed together, and their layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True)
class TokenBatch:
    """R rows, each a prompt and its completion, padded on the right to L tokens.

    With causal attention no token sees the padding after it, so no attention mask is needed.
    `predicts` marks the positions that predict a completion token; `targets` holds the T completion
    tokens, row by row.
    """

    input_ids: Tensor  # int64 [R, L]
    predicts: Tensor  # bool [R, L]
    targets: Tensor  # int64 [T]
    lengths: Tensor  # int64 [R], completion tokens of each row; they sum to T


def token_batch(
    rows: Sequence[tuple[Sequence[int], Sequence[int]]], *, device: torch.device
) -> TokenBatch:
    """Lay out (prompt ids, completion ids) rows."""
    longest = max(len(prompt) + len(completion) for prompt, completion in rows)
    input_ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    predicts = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        input_ids[row, :end] = torch.tensor([*prompt, *completion])
        predicts[row, len(prompt) - 1 : end - 1] = True
    return TokenBatch(
        input_ids=input_ids.to(device),
        predicts=predicts.to(device),
        targets=torch.tensor(
            [token for _, completion in rows for token in completion], dtype=torch.int64
        ).to(device),
        lengths=torch.tensor([len(completion) for _, completion in rows]).to(device),
    )


def split_evenly(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    """Split into `parts` slices whose sizes differ by at most one, larger ones first."""
    size, larger = divmod(len(items), parts)
    ends = [size * part + min(part, larger) for part in range(parts + 1)]
    return [items[start:end] for start, end in pairwise(ends)]


def micro_batches(lengths: Sequence[int], *, token_budget: int) -> list[list[int]]:
    """Group rows of similar length into batches of up to `token_budget` tokens with padding.

    The longest rows come first, so that running out of memory shows early.  A row longer than the
    budget is a batch by itself.
    """
    batches: list[list[int]] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batches and (len(batches[-1]) + 1) * longest <= token_budget:
            batches[-1].append(row)
        else:
            batches.append([row])
            longest = lengths[row]
    return batches
