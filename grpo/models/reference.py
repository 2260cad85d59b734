"""The reference policy of the KL term."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import Module

from grpo.models.locate import ModelFolder
from grpo.models.policy import Policy, load_model
from grpo.models.token_batch import TokenBatch


class Reference:
    """The initial policy: a frozen copy of all weights, or the base under the adapter.

    A copy can be replaced with `sync`; the base of an adapter cannot, and takes no memory.
    """

    def __init__(self, policy: Policy) -> None:
        """`policy`: a separate copy, or the trained policy with its adapter."""
        self._policy = policy
        self._renewed = False

    @property
    def model(self) -> Module:
        return self._policy.model

    @torch.no_grad()
    def logprobs(self, batch: TokenBatch, *, temperature: float) -> Tensor:
        """Return the reference's log-probability of each completion token: float32 [T]."""
        with self._as_reference():
            logprobs, _ = self._policy.logprobs(batch, temperature=temperature)
        return logprobs

    def sync(self, policy: Policy) -> None:
        """Copy the policy's current weights."""
        self._copy(dict(policy.model.named_parameters()))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold: none before the first `sync`."""
        return dict(self._policy.model.named_parameters()) if self._renewed else {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the tensors that `tensors()` returned."""
        if tensors:
            self._copy(tensors)

    @torch.no_grad()
    def _copy(self, weights: Mapping[str, Tensor]) -> None:
        assert self._policy.adapter is None
        for name, own in self._policy.model.named_parameters():
            own.copy_(weights[name])
        self._renewed = True

    def _as_reference(self) -> AbstractContextManager[object]:
        return nullcontext() if self._policy.adapter is None else self._policy.without_adapter()


def load_reference(
    policy: Policy, initial: Callable[[], ModelFolder], *, context_tokens: int | None
) -> Reference:
    """Load the reference of a run that trains `policy`, independent of the checkpoint it resumes.

    `initial` locates the model that the run started from; `context_tokens`: `model.context_tokens`.

    Raises:
        RunError: `model_unusable`.
    """
    if policy.adapter is not None:
        return Reference(policy)
    model = load_model(initial(), device=policy.device, context_tokens=context_tokens)
    return Reference(
        Policy(
            model.requires_grad_(False),
            precision=policy.precision,
            float32_head=policy.float32_head,
        )
    )
