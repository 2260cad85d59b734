"""Draws of vLLM's CPU engine by a logits processor, in place of its own sampler.

vLLM asks each request's generator for a number in every step, and returns logprobs through objects
of each token: together they cost more than the draw.  The processor draws the tokens of all rows at
once (`drawn_tokens`), keeps their logprobs in a table, and leaves the token's logit as the largest
one, which the greedy sampler takes.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.generation.logits_process import LogitsProcessorList

from grpo.rollout.engines.drawn_tokens import draw_tokens, uniform_numbers, warpers_of
from grpo.rollout.engines.engine import Request, Sampling

if TYPE_CHECKING:
    from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor

SLOT = "slot"  # in a request's `extra_args`


class DrawTable:
    """The numbers of the requests that vLLM holds, and the logprobs of the tokens drawn by them."""

    def __init__(self) -> None:
        self.begin(Sampling(1.0, 1.0, 0, max_tokens=1), num_slots=0)

    def begin(self, sampling: Sampling, *, num_slots: int) -> None:
        """Make room for requests, which all have one sampling."""
        shape = num_slots, sampling.max_tokens
        self._numbers = torch.empty(shape, dtype=torch.float64)
        self._logprobs = torch.empty(shape)
        self._free = list(range(num_slots))
        self._warpers: LogitsProcessorList = warpers_of(sampling)

    def add(self, request: Request) -> int:
        """Return the slot of one more request."""
        slot = self._free.pop()
        self._numbers[slot] = uniform_numbers(request.seed, self._numbers.shape[1])
        return slot

    def remove(self, slot: int, *, num_tokens: int) -> tuple[float, ...]:
        """Return the logprobs of a request that has ended."""
        self._free.append(slot)
        return tuple(self._logprobs[slot, :num_tokens].tolist())

    def draw(self, logits: Tensor, slots: Tensor, positions: Tensor) -> Tensor:
        """Draw a token of each row.  logits: [B, V]; slots, positions: int64 [B] -> int64 [B]"""
        warped = self._warpers(None, logits)  # pyright: ignore[reportArgumentType] - no warper reads ids
        tokens, logprobs = draw_tokens(warped, self._numbers[slots, positions])
        self._logprobs[slots, positions] = logprobs
        return tokens


def processor_of(table: DrawTable) -> "type[LogitsProcessor]":
    """Return the class of a processor that draws from a table; vLLM makes its instance."""
    from vllm.v1.sample.logits_processor import LogitsProcessor
    from vllm.v1.sample.logits_processor.builtin import process_dict_updates

    class Draw(LogitsProcessor):
        def __init__(self, vllm_config: Any, device: Any, is_pin_memory: Any) -> None:  # noqa: ANN401, ARG002
            self._requests: dict[int, tuple[int, list[int]]] = {}  # slots and tokens so far, by row
            self._rows, self._slots = torch.empty(0), torch.empty(0)

        def is_argmax_invariant(self) -> bool:
            return False

        def update_state(self, batch_update: "BatchUpdate | None") -> None:
            if process_dict_updates(self._requests, batch_update, _of_request):
                rows = sorted(self._requests)
                self._rows = torch.tensor(rows)
                self._slots = torch.tensor([self._requests[row][0] for row in rows])

        def apply(self, logits: Tensor) -> Tensor:
            if not self._requests:
                return logits
            tokens_so_far = [self._requests[row][1] for row in self._rows.tolist()]
            positions = torch.tensor([len(tokens) for tokens in tokens_so_far])
            drawn = table.draw(logits[self._rows], self._slots, positions)
            logits[self._rows, drawn] = torch.inf
            return logits

    return Draw


def _of_request(
    parameters: Any,  # noqa: ANN401
    prompt_ids: list[int] | None,  # noqa: ARG001
    token_ids: list[int],
) -> tuple[int, list[int]] | None:
    """Return the slot and the list to which vLLM appends the request's tokens."""
    given = parameters.extra_args
    return None if given is None else (given[SLOT], token_ids)
