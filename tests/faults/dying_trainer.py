"""`python -m grpo` that sends itself SIGKILL at one exact point of its job's first attempt.

The label `dies` of the spec names the point.  The trainer runs the product's code; a profiler only
counts the calls.  Before it dies it lists the files of the existing checkpoints in log.txt.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

from grpo.__main__ import main

Locals = Mapping[str, Any]
STEP = "grpo.step:TrainingStep.take"
FIRST_ATTEMPT = "attempt-0001"


@dataclass(frozen=True)
class Point:
    """The `nth` call of a function, or its return, in training step `step`; None: in any.

    `locals` says whether a call with these local variables counts.
    """

    step: int | None
    event: Literal["call", "return"]
    function: str
    """module:qualified.name"""
    nth: int = 1
    locals: Callable[[Locals], bool] = lambda _: True


def _in_step_8s_checkpoint(local: Locals) -> bool:
    """Tell a method of the unfinished checkpoint's path, or a function that is given the path.

    A thread writes checkpoints, in this step or the next.
    """
    return Path(local.get("folder", local.get("self"))).name == ".step-000008.tmp"


POINTS: Mapping[str, Point] = {
    "before the engine": Point(0, "call", "grpo.rollout.engines.start:start_engine"),
    "in a rollout": Point(6, "call", "grpo.rollout.engines.transformers:_draw", nth=10),
    "in a rollout of vLLM": Point(6, "call", "vllm.v1.engine.llm_engine:LLMEngine.step", nth=10),
    "in a backward pass": Point(6, "call", "grpo.models.onednn:_Linear.backward", nth=10),
    "in a checkpoint's files": Point(
        None, "call", "grpo.checkpoint.weights:_write_index", locals=_in_step_8s_checkpoint
    ),
    "before a checkpoint's rename": Point(
        None, "call", "pathlib:Path.rename", locals=_in_step_8s_checkpoint
    ),
    "after a checkpoint's rename": Point(
        None, "return", "pathlib:Path.rename", locals=_in_step_8s_checkpoint
    ),
    "after a checkpoint's notice": Point(
        None,
        "return",
        "grpo.reporting.reporter:Reporter.checkpoint",
        locals=lambda local: local["step"] == 8,
    ),
}


class Death:
    """Profile function of every thread."""

    def __init__(self, point: Point, folder: Path) -> None:
        self._point = point
        self._folder = folder
        self._names = {name.partition(":")[2] for name in (point.function, STEP)}
        self._num_steps = 0
        self._num_met = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if frame.f_code.co_qualname not in self._names:
            return
        function = f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}"
        if (event, function) == ("call", STEP):
            self._num_steps += 1
        if (event, function) == (self._point.event, self._point.function):
            due = self._point.step in (None, self._num_steps)
            self._num_met += due and self._point.locals(frame.f_locals)
            if self._num_met == self._point.nth:
                self._die()

    def _die(self) -> NoReturn:
        sys.setprofile(None)
        checkpoints = self._folder / "checkpoints"
        files = [path for path in checkpoints.rglob("*") if path.is_file()]
        words = sorted(path.relative_to(checkpoints).as_posix() for path in files)
        os.write(sys.stderr.fileno(), f"\n{json.dumps(words)}".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable: killed")


def last_words(run: Path) -> list[str]:
    """Return the files in a killed attempt's `checkpoints`, by relative name."""
    return json.loads((run / FIRST_ATTEMPT / "log.txt").read_text().splitlines()[-1])


if __name__ == "__main__":
    given = sys.argv[1:]
    spec, folder = Path(given[1]), Path(given[given.index("--out") + 1])
    if folder.name == FIRST_ATTEMPT:
        point = POINTS[json.loads(spec.read_text())["labels"]["dies"]]
        death = Death(point, folder)
        threading.setprofile(death)
        sys.setprofile(death)
    sys.exit(main(given))
