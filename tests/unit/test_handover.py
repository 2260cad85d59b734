"""Order of the engine's and the trainer's use of a GPU's memory."""

from collections.abc import Collection, Mapping, Sequence

import pytest
import torch
from torch import Tensor

from grpo.models.policy import Policy
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling, Stream
from grpo.rollout.weight_sync import to_engine, to_trainer
from tests.unit.tiny_policy import tiny_policy


class RecordingEngine(RolloutEngine):
    """Engine with memory for weights and cache, which refuses requests that would be lost."""

    name = "recording"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.weights: dict[str, Tensor] = {}
        self._awake = {"weights", "cache"}

    def stream(
        self,
        requests: Sequence[Request],
        sampling: Sampling,  # noqa: ARG002
    ) -> Stream:
        assert self._awake == {"weights", "cache"}
        assert self.weights
        for place in range(len(requests)):
            yield place, Completion((), (), "length")

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        assert "weights" in self._awake
        self.calls.append("load_weights")
        self.weights = {name: weight.clone() for name, weight in weights.items()}

    def stale_weights(
        self, weights: Mapping[str, Tensor], *, names: Collection[str] | None
    ) -> list[str]:
        assert self._awake == {"weights"} or self.calls == ["wake_weights", "load_weights"]
        self.calls.append("stale_weights")
        chosen = weights if names is None else names
        return [name for name in chosen if not torch.equal(weights[name], self.weights[name])]

    def sleep(self) -> None:
        self.calls.append("sleep")
        self.weights = {}
        self._awake = set()

    def wake_weights(self) -> None:
        self.calls.append("wake_weights")
        self._awake.add("weights")

    def wake_cache(self) -> None:
        self.calls.append("wake_cache")
        self._awake.add("cache")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def policy() -> Policy:
    return tiny_policy()


def test_weights_wake_first_then_are_loaded_and_the_cache_wakes_last(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    engine = RecordingEngine()
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: engine.calls.append("empty_cache"))
    to_trainer(engine)
    assert engine.calls == ["sleep"]
    to_engine(engine, policy)
    assert engine.calls[1:] == [
        "empty_cache",
        "wake_weights",
        "load_weights",
        "stale_weights",
        "empty_cache",
        "wake_cache",
    ]


def test_after_a_turn_the_engine_has_the_weights_as_they_are_now(policy: Policy):
    engine = RecordingEngine()
    to_engine(engine, policy)  # as before the first step, when it is awake
    engine.generate([], Sampling(1.0, 1.0, 0, 1))
    to_trainer(engine)
    with torch.no_grad():
        policy.head.get_parameter("weight").fill_(0.25)
    to_engine(engine, policy)
    engine.generate([], Sampling(1.0, 1.0, 0, 1))
    assert engine.weights["lm_head.weight"].unique().tolist() == [0.25]  # tied, and there


def test_a_sleeping_engine_gets_no_requests(policy: Policy):
    engine = RecordingEngine()
    to_engine(engine, policy)
    to_trainer(engine)
    with pytest.raises(AssertionError):
        engine.generate([], Sampling(1.0, 1.0, 0, 1))
