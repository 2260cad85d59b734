"""Policies with an adapter, and how far an engine is from one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grpo.learning.optimizer import make_optimizer
from grpo.models.locate import open_folder
from grpo.models.policy import Policy, load_policy
from grpo.models.token_batch import TokenBatch, token_batch
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.spec.model import Model
from grpo.spec.optimizer import Optimizer

CPU = torch.device("cpu")
LORA = {"rank": 4, "alpha": 8.0}
BATCH = token_batch([((1, 4, 2, 5), (3, 6)), ((0, 4, 0, 5), (0, 1, 2))], device=CPU)


def adapted(base: Path, *, seed: int = 0, **lora: Any) -> Policy:
    return load_policy(
        open_folder(base),
        Model.model_validate({"source": str(base), "lora": {**LORA, **lora}}),
        checkpoint=None,
        seed=seed,
        device=CPU,
        precision="float32",
    )


def train(policy: Policy, *, updates: int = 6, rate: float = 1e-2) -> None:
    """Train towards the batch's tokens: a large change in a few updates."""
    optimizer = make_optimizer(policy.model, Optimizer())
    optimizer.param_groups[0]["lr"] = rate
    for _ in range(updates):
        (-logprobs_of(policy)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def logprobs_of(policy: Policy, batch: TokenBatch = BATCH) -> Tensor:
    logprobs, _ = policy.logprobs(batch, temperature=1.0)
    return logprobs


def drawn(engine: RolloutEngine) -> tuple[list[Request], list[Completion]]:
    requests = [Request((place % 4, 4, 1, 5), seed=place) for place in range(32)]
    return requests, engine.generate(requests, Sampling(1.0, 1.0, 0, max_tokens=8))


def mean_gap(
    policy: Policy, requests: Sequence[Request], completions: Sequence[Completion]
) -> float:
    """Return the mean |policy - sampler| logprob per token."""
    rows = [
        (request.prompt_ids, completion.token_ids)
        for request, completion in zip(requests, completions, strict=True)
    ]
    sampler = torch.tensor([each for done in completions for each in done.sampler_logprobs])
    with torch.no_grad():
        return float((logprobs_of(policy, token_batch(rows, device=CPU)) - sampler).abs().mean())
