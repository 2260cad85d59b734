"""The schedule, and an optimizer that goes on where it was."""

import pytest
import torch
from torch import Tensor, nn

from grpo.optimizer import (
    learning_rate_at,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from grpo.spec.optimizer import Optimizer


def test_the_rate_rises_linearly_over_the_warm_up_and_stays():
    rates = [learning_rate_at(update, peak=1e-4, warmup_updates=4) for update in range(6)]
    assert rates == pytest.approx([0.25e-4, 0.5e-4, 0.75e-4, 1e-4, 1e-4, 1e-4])


def test_without_warm_up_the_first_update_has_the_peak_rate():
    assert learning_rate_at(0, peak=1e-4, warmup_updates=0) == 1e-4


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, updates: range) -> None:
    for update in updates:
        inputs: Tensor = torch.full((2, 3), float(update))
        model(inputs).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_a_restored_optimizer_continues_bit_for_bit():
    settings = Optimizer(learning_rate=0.1, weight_decay=0.01)
    unbroken = small_model()
    train(unbroken, make_optimizer(unbroken, settings), updates=range(6))

    first = small_model()
    optimizer = make_optimizer(first, settings)
    train(first, optimizer, updates=range(3))
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer, first).items()}
    second = small_model()
    second.load_state_dict(first.state_dict())
    continued = make_optimizer(second, settings)
    restore_optimizer(continued, second, saved)
    train(second, continued, updates=range(3, 6))

    for name, weight in second.state_dict().items():
        assert torch.equal(weight, unbroken.state_dict()[name]), name
