"""An update under a limit of memory that its first micro-batch exceeds."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn

from grpo.learning.forward_backward import Baselines, backward
from grpo.learning.memory import TokenBudget
from grpo.learning.minibatch import Minibatch, Row
from grpo.models.policy import Policy
from grpo.spec.algorithm import Algorithm
from tests.gpu.engines import TINY, made_policy
from tests.gpu.part import Figures, NotMeasured, Setting

MIB = 2**20
SMALL = 1024  # tokens


def measure(setting: Setting) -> Figures:
    """Compare the gradient with that of small micro-batches."""
    policy = made_policy(TINY, precision="float32" if setting.cpu else "bfloat16")
    _use_torchs_layers(policy.model)
    batch = _minibatch(setting.size(2048, 256))
    large = sum(row.num_tokens for row in batch.rows) * 2
    expected = _gradient(policy, batch, TokenBudget(SMALL))
    with_small = _peak()
    _gradient(policy, batch, TokenBudget(large))
    with_large = _peak()
    if with_large - with_small < 32 * MIB:
        raise NotMeasured(f"both sizes take about {with_large / MIB:.0f} MiB")
    budget = TokenBudget(large)
    with _limited_to((with_small + with_large) // 2):
        found = _gradient(policy, batch, budget)
    assert budget.tokens < large, "memory did not run out"
    error = float((found - expected).norm() / expected.norm())
    assert error < setting.size(0.05, 1e-4), f"the gradient differs by {error}"
    return {
        "peak with it all at once [MiB]": round(with_large / MIB),
        "limit [MiB]": round((with_small + with_large) / 2 / MIB),
        "tokens at once": f"{large} to {budget.tokens}",
        "difference of the gradient": error,
    }


def _use_torchs_layers(model: nn.Module) -> None:
    """Replace the CPU's linear layers: oneDNN does not say that it was memory that ran out."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.__class__ = nn.Linear


def _minibatch(num_rows: int) -> Minibatch:
    rows = tuple(_row(Random(place)) for place in range(num_rows))
    return Minibatch(rows, (), num_rows, num_rows, 0)


def _row(random: Random) -> Row:
    ids = tuple(random.randrange(256) for _ in range(random.choice([22, 30, 38, 46, 54])))
    return Row(ids[:9], ids[9:], (0.0,) * (len(ids) - 9), random.choice([-1, 1]))


def _gradient(policy: Policy, batch: Minibatch, budget: TokenBudget) -> Tensor:
    policy.model.zero_grad()
    algorithm = Algorithm()
    backward(policy, batch, Baselines(), algorithm=algorithm, temperature=1.0, budget=budget)
    grads = [weight.grad for weight in policy.model.parameters() if weight.grad is not None]
    return torch.cat([grad.detach().flatten().cpu().clone() for grad in grads])


def _peak() -> int:
    """Return the most that was allocated so far on the GPU, or mapped by this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("VmPeak:"))
    return int(kibibytes) * 1024


@contextmanager
def _limited_to(num_bytes: int) -> Iterator[None]:
    """Let allocations beyond a number of bytes fail."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(num_bytes / total)
        yield
        torch.cuda.set_per_process_memory_fraction(1.0)
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
