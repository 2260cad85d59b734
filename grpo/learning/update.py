"""One update: the clipped gradient of a minibatch, and the optimizer's step."""

import math
from dataclasses import dataclass

import torch

from grpo.errors import RunError
from grpo.learning.forward_backward import Baselines, BatchResult, backward
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch
from grpo.learning.optimizer import trained_parameters
from grpo.models.policy import Policy
from grpo.spec.job import JobSpec


@dataclass(frozen=True)
class Update:
    """The results of one update; its logprobs are the policy's before the update."""

    result: BatchResult
    grad_norm: float  # before clipping
    num_tokens: int  # completion tokens trained on


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    minibatch: Minibatch,
    baselines: Baselines,
    *,
    spec: JobSpec,
    budget: TokenBudget,
) -> Update:
    """Update the policy on one minibatch.

    Raises:
        RunError: `nan_loss`, before the weights change.
    """
    result = backward(
        policy,
        minibatch,
        baselines,
        algorithm=spec.algorithm,
        temperature=spec.rollout.temperature,
        budget=budget,
    )
    weights = trained_parameters(policy.model).values()
    grad_norm = torch.nn.utils.clip_grad_norm_(weights, spec.optimizer.max_grad_norm).item()
    if not (math.isfinite(result.loss) and math.isfinite(grad_norm)):
        raise RunError(
            "nan_loss",
            f"the loss is {result.loss} and the gradient's norm {grad_norm}",
            hint="Lower optimizer.learning_rate or lengthen optimizer.warmup_steps; in bfloat16, "
            "try model.dtype float32.",
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return Update(result, grad_norm, sum(map(len, result.policy_logprobs)))
