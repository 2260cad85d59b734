"""Duet's rollout and update in isolation, and a bare update for comparison.

A step of each spec is collected by the trainer's own parts, then computed repeatedly.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Module
from transformers import AutoModelForCausalLM

from bench.turns import Turns
from grpo.assembly import assemble
from grpo.budget import TOKEN_BUDGET
from grpo.data.prompt_sampler import PromptSampler
from grpo.learning.learner import Learner
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Row, make_minibatches
from grpo.models.token_batch import TokenBatch, micro_batches, token_batch
from grpo.parts import Parts
from grpo.rollout.collector import Collector
from grpo.rollout.engines.engine import Request, Sampling
from grpo.rollout.groups import Group
from grpo.rollout.rollouter import Rollouter
from grpo.runtime.stopwatch import Stopwatch
from grpo.seeds import derive_seed
from grpo.spec.job import JobSpec


@dataclass(frozen=True)
class Recorded:
    """A step's data for the other contestants.

    `requests`: requests of the rollout.  `row_lengths`: tokens (prompt and completion) of the rows
    with a gradient, by micro-batch.
    """

    requests: tuple[Request, ...]
    row_lengths: tuple[tuple[int, ...], ...]

    @property
    def padding_fraction(self) -> float:
        """Fraction of computed tokens that are padding."""
        useful = sum(map(sum, self.row_lengths))
        computed = sum(len(lengths) * max(lengths) for lengths in self.row_lengths)
        return 1 - useful / computed


def play(turns: Turns, specs: Sequence[JobSpec], model: Path) -> None:
    """Report a `Recorded` per spec, then run the requested (method, number of the spec)."""
    parts = assemble(specs[0], model_folder=None, phase=lambda _: None).parts
    stock = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    Module.to(stock, parts.policy.device)
    steps = [Step(spec, parts, stock) for spec in specs]
    said: object = [step.recorded for step in steps]
    while True:
        what, place = turns.next(said)
        said = getattr(steps[place], what)()


class Step:
    """Work of one step, repeatable."""

    def __init__(self, spec: JobSpec, parts: Parts, stock: Module) -> None:
        self._parts = parts
        self._stock = stock
        rollout = spec.rollout
        self._sampling = Sampling(rollout.temperature, rollout.top_p, 0, rollout.max_tokens)
        self._groups = _collect(spec, parts)
        budget = TokenBudget(TOKEN_BUDGET[parts.policy.device.type])
        self._learner = Learner(spec, parts.policy, parts.optimizer, None, budget=budget)
        rows = _micro_batches(spec, self._groups, token_budget=budget.tokens)
        self._bare_batches = [_bare_batch(batch, parts) for batch in rows]
        self.recorded = Recorded(
            requests=_requests(spec, self._groups),
            row_lengths=tuple(tuple(row.num_tokens for row in batch) for batch in rows),
        )

    def rollout(self) -> int:
        """Run the rollout and return the number of tokens drawn."""
        completions = self._parts.engine.generate(self.recorded.requests, self._sampling)
        return sum(len(completion.token_ids) for completion in completions)

    def update(self) -> None:
        """Run a step's update, including the optimizer's step."""
        self._learner.learn(self._groups, num_updates=0, num_skipped=0, total_updates=1)
        _wait_for_gpu()

    def bare_update(self) -> None:
        """Run forward and backward over the same micro-batches, through the same layers."""
        self._forward_backward(self._parts.policy.model)

    def stock_update(self) -> None:
        """Run forward and backward through the unmodified transformers model."""
        self._forward_backward(self._stock)

    def _forward_backward(self, model: Module) -> None:
        policy = self._parts.policy
        on = policy.precision == "bfloat16"
        with torch.autocast(policy.device.type, dtype=torch.bfloat16, enabled=on):
            _forward_backward(model, self._bare_batches)
        _wait_for_gpu()


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _forward_backward(model: Module, batches: Sequence[tuple[TokenBatch, Tensor]]) -> None:
    """Run forward and backward over prepared batches with their token weights."""
    for batch, weights in batches:
        logits = model(input_ids=batch.input_ids, use_cache=False).logits.float()  # [R, L, V]
        logprobs = logits[batch.predicts].log_softmax(dim=-1)  # [T, V]
        chosen = logprobs.gather(1, batch.targets.unsqueeze(1)).squeeze(1)  # [T]
        (-weights * chosen).sum().backward()
    model.zero_grad(set_to_none=True)


def _collect(spec: JobSpec, parts: Parts) -> Sequence[Group]:
    prompts = parts.training.prompts
    rollouter = Rollouter(
        spec,
        engine=parts.engine,
        tokenizer=parts.tokenizer,
        scorer=parts.scorer,
        stopwatch=Stopwatch(time.perf_counter),
        penalise=None,
    )
    sampler = PromptSampler(len(prompts), derive_seed(spec.seed, "prompts"))
    collector = Collector(spec.algorithm, prompts=prompts, sampler=sampler, rollouter=rollouter)
    return collector.collect(1).groups


def _micro_batches(spec: JobSpec, groups: Sequence[Group], *, token_budget: int) -> list[list[Row]]:
    """Return the step's micro-batches as in the learner."""
    (minibatch,) = make_minibatches(groups, spec.algorithm, max_tokens=spec.rollout.max_tokens)
    lengths = [row.num_tokens for row in minibatch.rows]
    return [
        [minibatch.rows[row] for row in picked]
        for picked in micro_batches(lengths, token_budget=token_budget)
    ]


def _bare_batch(rows: Sequence[Row], parts: Parts) -> tuple[TokenBatch, Tensor]:
    """Return the rows' tokens, and each completion token's weight in the loss: [T]"""
    ids = [(row.prompt_ids, row.completion_ids) for row in rows]
    weights = [row.advantage / len(row.completion_ids) for row in rows for _ in row.completion_ids]
    device = parts.policy.device
    return token_batch(ids, device=device), torch.tensor(weights, device=device)


def _requests(spec: JobSpec, groups: Sequence[Group]) -> tuple[Request, ...]:
    return tuple(
        Request(
            group.prompt.token_ids,
            derive_seed(spec.seed, "bench", group.prompt.index, rollout.sibling),
        )
        for group in groups
        for rollout in group.rollouts
    )
