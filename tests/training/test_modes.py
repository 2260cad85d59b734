"""Every loss with every handling of ties trains: a short form of the nightly learning runs."""

import math
from pathlib import Path
from typing import get_args

import pytest

from grpo.spec.algorithm import LossName, Ties
from tests.training.runs import (
    make_tiny_model,
    records,
    run_here,
    small_spec,
    weights_sha256,
    write_sums,
)

pytestmark = pytest.mark.filterwarnings("ignore")

LOSSES = get_args(LossName)
POLICIES = get_args(Ties.model_fields["policy"].annotation)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return make_tiny_model(folder / "model"), write_sums(folder / "sums.jsonl")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_two_steps_change_the_weights_twice(
    inputs: tuple[Path, Path], loss: str, policy: str, tmp_path: Path
):
    spec = small_spec(
        *inputs,
        data={"eval": None},
        algorithm={"loss": loss, "group_size": 2, "minibatches": 1, "ties": {"policy": policy}},
        checkpoints={"every_steps": 1},
        budget={"max_steps": 2},
    )
    run = run_here(spec, tmp_path / "run")
    metrics = [record["payload"] for record in records(run, "metric")]
    assert [one["num_updates"] for one in metrics] == [1, 2]
    assert all(0 < one["grad_norm"] < math.inf for one in metrics)
    first, second = (weights_sha256(run / f"checkpoints/step-{step:06d}") for step in (1, 2))
    assert first != second
