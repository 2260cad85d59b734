"""A sleeping engine loses all that a GPU's loses, and wakes with nothing but the policy's weights.

vLLM cannot sleep on the CPU, so its worker is given a sleep that poisons what the GPU's discards:
parameters, packed copies and buffers become NaN, and the buffers alone come back; the cache becomes
numbers that are wrong but finite, since attention multiplies what it masks by 0.  All above the
worker is vLLM's own.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor

from grpo.errors import RunError
from grpo.models.locate import open_folder
from grpo.models.policy import Policy, load_model
from grpo.rollout.engines.engine import Request, Sampling
from grpo.rollout.engines.vllm import VllmEngine
from grpo.rollout.weight_sync import to_engine, to_trainer
from tests.training.engines import started_engine
from tests.training.runs import make_tiny_model
from tests.training.test_lora import drawn, mean_gap

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own, as it is imported
]


def sleep(worker: Any, level: int = 1) -> None:
    assert level == 2
    model = worker.model_runner.model
    worker.kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    worker.woken = []
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.data.fill_(torch.nan)
    for cache in worker.model_runner.kv_caches:
        cache.fill_(1e4)
    for layer in model.modules():
        if hasattr(layer, "cpu_linear"):  # a packed copy, which nothing else can reach
            layer.cpu_linear = lambda *args, lost=layer.cpu_linear: lost(*args) * torch.nan


def wake_up(worker: Any, tags: list[str] | None = None) -> None:
    worker.woken += tags or ["weights", "kv_cache"]
    if tags is None or "weights" in tags:
        for name, buffer in worker.model_runner.model.named_buffers():
            buffer.data.copy_(worker.kept[name])


def poison(worker: Any) -> None:
    worker.sleep = MethodType(sleep, worker)
    worker.wake_up = MethodType(wake_up, worker)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    folder = make_tiny_model(tmp_path / "model")
    return Policy(load_model(open_folder(folder), device=torch.device("cpu")), precision="float32")


@pytest.fixture
def engine(policy: Policy, tmp_path: Path) -> Iterator[VllmEngine]:
    folder = tmp_path / "model"
    started = started_engine(folder, max_batch=64)
    assert isinstance(started, VllmEngine)
    started._llm.collective_rpc(poison)
    started._can_sleep = True
    with closing(started):
        yield started


def move(policy: Policy) -> None:
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape))


class WithoutOne(Policy):
    """Hands over all weights but one."""

    def weights(self) -> dict[str, Tensor]:
        return {
            name: weight for name, weight in super().weights().items() if "k_proj.w" not in name
        }


def test_three_cycles_leave_the_policys_weights_and_no_poison(engine: VllmEngine, policy: Policy):
    to_engine(engine, policy)
    for _ in range(3):
        move(policy)
        to_trainer(engine)
        to_engine(engine, policy)
        assert mean_gap(policy, *drawn(engine)) < 1e-5
    # A weight that is not handed over is still the poison.
    to_trainer(engine)
    with pytest.raises(RunError, match=r"qkv_proj\.weight in the engine") as caught:
        to_engine(engine, WithoutOne(policy.model, precision="float32"))
    assert caught.value.code == "weights_not_synced"


def test_poison_reaches_what_is_sampled_where_nothing_is_loaded(engine: VllmEngine):
    to_trainer(engine)
    engine.wake_weights()
    engine.wake_cache()
    (completion,) = engine.generate([Request((0, 4, 1, 5), seed=1)], Sampling(1.0, 1.0, 0, 2))
    assert not torch.tensor(completion.sampler_logprobs).isfinite().all()


@pytest.mark.parametrize("woken", [False, True])
def test_it_closes_asleep(engine: VllmEngine, woken: bool):
    to_trainer(engine)
    if woken:
        engine.wake_weights()
