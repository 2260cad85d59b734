"""Linear layers through oneDNN against torch's own: `python -m bench.onednn`.

A forward and backward pass over the same micro-batches, in turn; in CPU seconds, since the machine
may have other load.
"""

import time
from collections.abc import Callable
from random import Random
from statistics import median

import torch
from torch import nn

from grpo.builtin.catalogue import MODELS
from grpo.learning.forward_backward import Baselines, backward
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row
from grpo.models.locate import open_folder
from grpo.models.onednn import OneDnnLinear
from grpo.models.policy import Policy, load_model
from grpo.spec.algorithm import Algorithm

NUM_ROWS, ROUNDS = 230, 7  # rows of contrasts in a step of 512 completions


def main() -> None:
    model = load_model(open_folder(MODELS["tiny-arithmetic"].folder), device=torch.device("cpu"))
    policy = Policy(model, precision="float32")
    seconds: dict[type[nn.Linear], list[float]] = {OneDnnLinear: [], nn.Linear: []}
    for _ in range(ROUNDS):
        for kind, taken in seconds.items():
            for layer in model.modules():
                if isinstance(layer, nn.Linear):
                    layer.__class__ = kind
            taken.append(_cpu_seconds(lambda: _pass(policy)))
    ours, torchs = (median(taken[1:]) for taken in seconds.values())
    print(f"oneDNN {ours:.2f} s, torch {torchs:.2f} s: {torchs / ours:.2f} times as fast")


def _pass(policy: Policy) -> None:
    policy.model.zero_grad()
    rows = tuple(_row(Random(place)) for place in range(NUM_ROWS))
    batch = Minibatch(rows, (), NUM_ROWS, NUM_ROWS, 0)
    backward(
        policy,
        batch,
        Baselines(),
        algorithm=Algorithm(),
        temperature=1.0,
        budget=TokenBudget(3072),
    )


def _row(random: Random) -> Row:
    """Return lengths similar to a chain addition with its worked solution."""
    ids = [random.randrange(256) for _ in range(random.choice([22, 30, 38, 46, 54]))]
    return Row(tuple(ids[:9]), tuple(ids[9:]), (0.0,) * (len(ids) - 9), random.choice([-1, 1]))


def _cpu_seconds(work: Callable[[], None]) -> float:
    began_at = time.process_time()
    work()
    return time.process_time() - began_at


if __name__ == "__main__":
    main()
