"""Checkpoints are written while the next step's completions are drawn, and before its update."""

import errno
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import PrivateAttr
from torch import Tensor

from grpo.assembly import assemble
from grpo.checkpoint.checkpoint import TrainerState
from grpo.models.policy import Policy
from grpo.models.token_batch import TokenBatch
from grpo.reporting.records import Recorder
from grpo.reporting.reporter import Reporter
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Case
from grpo.rollout.scorer import Scorer
from grpo.runtime.stop import Stop
from grpo.trainer import Trainer
from tests.training.runs import make_tiny_model, records, small_spec, write_sums

pytestmark = pytest.mark.filterwarnings("ignore")
SECONDS = 60.0  # of patience


class Diary(list[str]):
    """Events of a run in their order.  `scored`: a completion has been since the last update."""

    def __init__(self) -> None:
        super().__init__(["begun"])
        self.scored = Event()


class NotedReward(NumberReward):
    """Reward that notes the first completion of each step, which follows an update."""

    _diary: Diary = PrivateAttr(default_factory=Diary)

    def score(self, case: Case) -> float:
        if not self._diary.scored.is_set():
            self._diary.append("drawn")
        self._diary.scored.set()
        return super().score(case)


class NotedPolicy(Policy):
    def __init__(self, policy: Policy, diary: Diary) -> None:
        super().__init__(policy.model, precision="float32")
        self._diary = diary

    def logprobs(self, batch: TokenBatch, *, temperature: float) -> tuple[Tensor, Tensor]:
        if self._diary[-1] != "updated":
            self._diary.append("updated")
            self._diary.scored.clear()
        return super().logprobs(batch, temperature=temperature)


Training = Callable[[Callable[[TrainerState, bool], None]], Trainer]


@pytest.fixture
def training(tmp_path: Path) -> Iterator[tuple[Training, Diary]]:
    """A run of three steps that saves each of them."""
    with _training(tmp_path) as given:
        yield given


@contextmanager
def _training(folder: Path) -> Iterator[tuple[Training, Diary]]:
    spec = small_spec(
        make_tiny_model(folder / "model"),
        write_sums(folder / "sums.jsonl"),
        data={"eval": None},
        budget={"max_steps": 3},
        checkpoints={"every_steps": 1},
        algorithm={"ties": {"policy": "keep"}},
    )
    diary = Diary()
    reward = NotedReward(type="number")
    object.__setattr__(reward, "_diary", diary)
    parts: Any = assemble(spec, model_folder=None, phase=lambda _: None).parts
    recorder = Recorder(folder / "records.jsonl", now=lambda: datetime.now(UTC))
    with closing(recorder), closing(parts.engine), closing(parts.scorer):
        parts = replace(
            parts, policy=NotedPolicy(parts.policy, diary), scorer=Scorer([reward], spec.scoring)
        )
        yield (
            lambda save: Trainer(
                spec,
                parts,
                state=TrainerState(),
                last_step=3,
                report=Reporter(recorder, folder, spec),
                save=lambda state, final: partial(save, state, final),
                stop=Stop(),
            ),
            diary,
        )


def test_a_step_draws_while_the_one_before_is_saved_and_updates_afterwards(
    training: tuple[Training, Diary], tmp_path: Path
):
    make, diary = training

    def save(_: TrainerState, final: bool) -> None:
        assert final or diary.scored.wait(SECONDS)
        diary.append("saved")

    trainer = make(save)
    assert trainer.train() == "completed"
    assert diary == ["begun", *["drawn", "updated"], *["drawn", "saved", "updated"] * 2, "saved"]
    seconds = [
        record["payload"].get("seconds/checkpoint") for record in records(tmp_path, "metric")
    ]
    assert seconds[0] is None
    assert min(seconds[1:]) > 0


def test_a_checkpoint_that_cannot_be_written_ends_the_run_before_its_next_update(
    training: tuple[Training, Diary], tmp_path: Path
):
    make, diary = training

    def save(state: TrainerState, final: bool) -> None:
        raise OSError(errno.ENOSPC, f"step {state.step}, {final=}")

    trainer = make(save)
    with pytest.raises(OSError, match="step 1, final=False"):
        trainer.train()
    assert diary.count("updated") == 1
    assert [record["step"] for record in records(tmp_path, "metric")] == [1]


def test_a_last_checkpoint_that_cannot_be_written_fails_the_run(
    training: tuple[Training, Diary],
):
    make, _ = training

    def save(_: TrainerState, final: bool) -> None:
        if final:
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        make(save).train()
