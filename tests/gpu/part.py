"""A part of the check: its question and limit, and what its process is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

Figures = dict[str, float | str]
"""Values that a part measured, by name."""


class NotMeasured(Exception):
    """Something that a part needs is not there; the text says what."""


@dataclass(frozen=True)
class Part:
    """`name`: of its module, whose `measure` answers the question.  `seconds`: its limit."""

    name: str
    question: str
    seconds: float
    package: str = "tests.gpu"


@dataclass(frozen=True)
class Setting:
    """`cpu`: small sizes, without a GPU.  `folder`: the part's own, empty.  `model`: a folder with
    SmolLM2; None: there is none."""

    cpu: bool
    folder: Path
    model: Path | None

    def size(self, gpu: Value, cpu: Value) -> Value:
        return cpu if self.cpu else gpu


PARTS = (
    Part("set_up", "driver, CUDA, builds and cards fit together, and the demo fits the card", 40),
    Part("sync", "in bfloat16 every weight arrives, and a stale one is found", 70),
    Part("sleep", "an engine sleeps and wakes again and again, and memory does not grow", 70),
    Part("learning", "tiny-arithmetic learns as on the CPU", 120),
    Part("demo", "the demo's job trains through the API and the worker", 80),
    Part("resume", "a killed run continues from its checkpoint", 80),
    Part("out_of_memory", "an update that runs out of memory halves and is the same", 40),
    Part("pretrained", "SmolLM2 trains on GSM8K", 80),
    Part("speed", "rollout and update, beside vLLM alone and a bare loop", 80),
    Part("against_trl", "a step, beside TRL's with vLLM on the same task", 60),
)
