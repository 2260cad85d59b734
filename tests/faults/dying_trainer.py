"""`python -m grpo` that sends itself SIGKILL at one exact point of its job's first attempt.

The label `dies` of the spec names the point.  The trainer runs the product's code; a profiler only
counts the calls.  Before it dies it lists the files of the existing checkpoints in log.txt.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn

from grpo.__main__ import main

STEP = "grpo.step:TrainingStep.take"
FIRST_ATTEMPT = "attempt-0001"


@dataclass(frozen=True)
class Point:
    """The `nth` call of a function, or its return, after training step `step` has begun."""

    step: int
    event: Literal["call", "return"]
    function: str
    """module:qualified.name"""
    nth: int = 1


POINTS: Mapping[str, Point] = {
    "before the engine": Point(0, "call", "grpo.rollout.engines.start:start_engine"),
    "in a rollout": Point(6, "call", "grpo.rollout.engines.transformers:_draw", nth=10),
    "in a rollout of vLLM": Point(6, "call", "vllm.v1.engine.llm_engine:LLMEngine.step", nth=10),
    "in a backward pass": Point(6, "call", "grpo.models.onednn:_Linear.backward", nth=10),
    "in a checkpoint's files": Point(8, "call", "grpo.checkpoint.weights:_write_index"),
    # The step's rollouts are the first that are renamed.
    "before a checkpoint's rename": Point(8, "call", "pathlib:Path.rename", nth=2),
    "after a checkpoint's rename": Point(8, "return", "pathlib:Path.rename", nth=2),
    "after a checkpoint's notice": Point(
        8, "return", "grpo.reporting.reporter:Reporter.checkpoint"
    ),
}


class Death:
    """Profile function for sys.setprofile."""

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
            self._num_met += self._num_steps == self._point.step
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
        sys.setprofile(Death(point, folder))
    sys.exit(main(given))
