"""Schedules, and restored optimizers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from grpo.errors import RunError
from grpo.learning import offload
from grpo.learning.optimizer import (
    learning_rate_at,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from grpo.spec.optimizer import Optimizer
from tests.unit.tiny_policy import tiny_policy

Make = Literal["adamw", "adamw_fused"]


def test_the_rate_rises_linearly_over_the_warm_up_and_stays():
    rates = [constant_rate(update, peak=1e-4, warmup_updates=4) for update in range(6)]
    assert rates == pytest.approx([0.25e-4, 0.5e-4, 0.75e-4, 1e-4, 1e-4, 1e-4])


def test_without_warm_up_the_first_update_has_the_peak_rate():
    assert constant_rate(0, peak=1e-4, warmup_updates=0) == 1e-4


def constant_rate(update: int, *, peak: float, warmup_updates: int) -> float:
    return learning_rate_at(
        update, peak=peak, warmup_updates=warmup_updates, schedule="constant", total_updates=6
    )


@pytest.mark.parametrize(
    ("schedule", "after_warm_up"),
    [
        ("constant", [8, 8, 8, 8]),
        ("linear", [8, 6, 4, 2]),  # 8 * (1 - u/4)
        # 8 * (1 + cos(pi u/4)) / 2: cos is 1, 1/sqrt(2), 0, -1/sqrt(2)
        ("cosine", [8, 6.828427, 4, 1.171573]),
    ],
)
def test_after_the_warm_up_the_rate_decays_to_0_after_the_last_update(
    schedule: Any, after_warm_up: list[float]
):
    rates = [
        learning_rate_at(update, peak=8, warmup_updates=2, schedule=schedule, total_updates=6)
        for update in range(6)
    ]
    assert rates == pytest.approx([4, 8, *after_warm_up])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_after_the_end_the_rate_is_0_and_not_negative(schedule: Any):
    for update in (6, 7, 100):
        rate = learning_rate_at(
            update, peak=8, warmup_updates=2, schedule=schedule, total_updates=6
        )
        assert rate == pytest.approx(0, abs=1e-12)


def test_a_run_shorter_than_its_warm_up_only_rises():
    rates = [
        learning_rate_at(update, peak=8, warmup_updates=8, schedule="linear", total_updates=4)
        for update in range(4)
    ]
    assert rates == [1, 2, 3, 4]


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, updates: range) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for update in updates:
        inputs: Tensor = torch.full((2, 3), float(update))
        model(inputs).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("make", ["adamw", "adamw_fused"])
def test_a_restored_optimizer_continues_bit_for_bit(make: Make, moves: bool, tmp_path: Path):
    settings = Optimizer(name=make, weight_decay=0.01, offload=moves)
    unbroken = small_model()
    train(unbroken, make_optimizer(unbroken, settings), updates=range(6))

    first = small_model()
    optimizer = make_optimizer(first, settings)
    train(first, optimizer, updates=range(3))
    save_file(optimizer_tensors(optimizer, first), tmp_path / "saved")
    second = small_model()
    second.load_state_dict(first.state_dict())
    continued = make_optimizer(second, settings)
    restore_optimizer(continued, second, load_file(tmp_path / "saved"))
    train(second, continued, updates=range(3, 6))

    assert same(second.state_dict(), unbroken.state_dict())
    assert not same(second.state_dict(), first.state_dict())


def test_the_fused_make_learns_as_the_plain_one_does():
    plain, fused = small_model(), small_model()
    train(plain, make_optimizer(plain, Optimizer(weight_decay=0.01)), updates=range(4))
    settings = Optimizer(name="adamw_fused", weight_decay=0.01)
    optimizer = make_optimizer(fused, settings)
    train(fused, optimizer, updates=range(4))
    assert optimizer.defaults["fused"]
    torch.testing.assert_close(fused.state_dict(), plain.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", ["adamw", "adamw_fused"])
def test_offloaded_state_gives_the_same_weights_and_state_bit_for_bit(make: Make):
    kept, offloaded = (tiny_policy().model for _ in range(2))
    optimizers = []
    for model, moves in ((kept, False), (offloaded, True)):
        settings = Optimizer(name=make, weight_decay=0.01, offload=moves)
        optimizers.append(optimizer := make_optimizer(model, settings))
        for _ in range(4):
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            model(input_ids=torch.tensor([[1, 2, 3]])).logits.square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert same(kept.state_dict(), offloaded.state_dict())
    assert not same(kept.state_dict(), tiny_policy().model.state_dict())
    states = [
        optimizer_tensors(optimizer, model)
        for optimizer, model in zip(optimizers, (kept, offloaded), strict=True)
    ]
    assert same(*states)
    assert len(optimizers[1].param_groups) == 4  # two layers, the embedding, the last norm


def test_offloaded_state_is_on_the_weights_device_during_the_update_of_its_part_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    """The host's memory is played by float64, into which each float32 goes and comes back whole."""
    monkeypatch.setattr(offload, "_to_host", lambda state: state.double())
    monkeypatch.setattr(offload, "_to", lambda _: lambda state: state.float())
    away, kept = tiny_policy().model, tiny_policy().model
    optimizer = make_optimizer(away, Optimizer(offload=True))
    usual = make_optimizer(kept, Optimizer())
    for _ in range(3):
        for model, each in ((away, optimizer), (kept, usual)):
            for group in each.param_groups:
                group["lr"] = 0.01
            model(input_ids=torch.tensor([[1, 2, 3]])).logits.square().mean().backward()
            each.step()
            each.zero_grad()
        moments = [state["exp_avg"] for state in optimizer.state.values()]
        assert {each.dtype for each in moments} == {torch.float64}
    assert same(away.state_dict(), kept.state_dict())


def test_a_state_in_8_bits_cannot_be_offloaded():
    with pytest.raises(ValueError, match="choose one of them"):
        Optimizer(name="adamw_8bit", offload=True)


class CountingOptimizer(torch.optim.Optimizer):
    """Optimizer with state like the 8-bit one: numbers, tensors, bytes, and a shared table."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), {"lr": 0.1})
        self.table = torch.linspace(-1, 1, 256)

    def step(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for place, weight in enumerate(self.param_groups[0]["params"]):
            state = self.state[weight]
            state["step"] = state.get("step", 0) + 1
            state["scale"] = 0.1 + place
            state["state1"] = torch.full((5,), 200 + place, dtype=torch.uint8)
            state["qmap1"] = self.table


def test_numbers_bytes_and_shared_tensors_of_a_state_come_back_as_they_were(tmp_path: Path):
    model = small_model()
    optimizer = CountingOptimizer(model)
    train(model, optimizer, updates=range(3))
    save_file(optimizer_tensors(optimizer, model), tmp_path / "saved")  # refuses shared memory

    continued = CountingOptimizer(model)
    restore_optimizer(continued, model, load_file(tmp_path / "saved"))
    for place, weight in enumerate(model.parameters()):
        state = continued.state[weight]
        assert (state["step"], state["scale"]) == (3, 0.1 + place)
        assert isinstance(state["step"], int)
        assert torch.equal(state["qmap1"], optimizer.table)
        assert state["state1"].tolist() == [200 + place] * 5


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without a GPU")
def test_without_a_gpu_the_8_bit_optimizer_reports_what_to_do():
    with pytest.raises(RunError, match="no GPU") as caught:
        make_optimizer(small_model(), Optimizer(name="adamw_8bit"))
    assert caught.value.code == "optimizer_unavailable"
    assert "adamw_fused" in caught.value.hint


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_warm_up_counts_updates_that_were_made_and_the_fall_all_that_were_planned(
    schedule: Any,
):
    def rate(made: int, skipped: int) -> float:
        return learning_rate_at(
            made,
            num_skipped=skipped,
            peak=8,
            warmup_updates=4,
            schedule=schedule,
            total_updates=12,
        )

    assert [rate(made, 5) for made in range(4)] == [2, 4, 6, 8]
    fallen = {"constant": 8, "linear": 4, "cosine": 4}[schedule]
    assert rate(4, 4) == rate(8, 0) == pytest.approx(fallen)
