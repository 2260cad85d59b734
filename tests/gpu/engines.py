"""Policies and engines on the device at hand, and the gap between their logprobs."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from grpo.assembly import device
from grpo.builtin.catalogue import MODELS
from grpo.models.locate import open_folder
from grpo.models.policy import Policy, Precision, load_model
from grpo.models.token_batch import token_batch
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.rollout.engines.start import start_engine

TINY = MODELS["tiny-arithmetic"].folder
QUESTION = "3+4+8="
FRACTION = 0.3
"""Share of a GPU's memory for an engine."""


def made_policy(folder: Path, *, precision: Precision) -> Policy:
    return Policy(load_model(open_folder(folder), device=device()), precision=precision)


@contextmanager
def made_engine(folder: Path, *, dtype: str, max_batch: int = 64) -> Iterator[RolloutEngine]:
    """Start vLLM where it is installed, else the transformers engine."""
    engine = start_engine(
        "auto",
        model_folder=folder,
        tokenizer=open_folder(folder).load_tokenizer(),
        dtype=dtype,
        max_model_tokens=96,
        max_batch=max_batch,
        gpu_memory_fraction=FRACTION,
    )
    with closing(engine):
        yield engine


def move(policy: Policy) -> None:
    """Change every weight by about a hundredth of it, as an update does."""
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.mul_(1 + 0.01 * torch.randn_like(weight))


def draw(
    engine: RolloutEngine, folder: Path, *, number: int
) -> tuple[list[Request], list[Completion]]:
    ids = open_folder(folder).load_tokenizer().encode(QUESTION)
    requests = [Request(tuple(ids), seed) for seed in range(number)]
    return requests, engine.generate(requests, Sampling(1.0, 1.0, 0, max_tokens=48))


def entropy(drawn: Sequence[Completion]) -> float:
    """Return the mean of -log p(token) under the sampler."""
    logprobs = [each for done in drawn for each in done.sampler_logprobs]
    return -sum(logprobs) / len(logprobs)


def gap(policy: Policy, asked: Sequence[Request], drawn: Sequence[Completion]) -> float:
    """Return the mean |policy - sampler| logprob per token."""
    rows = [(each.prompt_ids, done.token_ids) for each, done in zip(asked, drawn, strict=True)]
    with torch.no_grad():
        logprobs, _ = policy.logprobs(token_batch(rows, device=policy.device), temperature=1.0)
    sampler = torch.tensor([each for done in drawn for each in done.sampler_logprobs])
    return float((logprobs.cpu() - sampler).abs().mean())
