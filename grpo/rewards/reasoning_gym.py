"""`reasoning_gym`: the score that a task of reasoning-gym gives itself."""

import os
import re
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from grpo.rewards.reward import Case, Marker, Reward, placed, text_after
from grpo.rewards.sandbox.sandbox import Sandbox

GRADER = Path(__file__).parent / "sandbox/gym_grader.py"
LIBRARY = "reasoning_gym"
READ = ("question", "answer", "metadata", "task", "parameters")
"""The fields of a row that a scorer reads."""
ELEMENT = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


class _Own(threading.local):
    process: int | None = None
    sandbox: Sandbox


_own = _Own()


def gym_sandbox() -> Sandbox:
    """Return the sandbox that all rewards of this type share.

    Each thread has its own, with whose end the sandbox ends, and so has a forked process: two users
    of a channel would read each other's scores.
    """
    if _own.process != os.getpid():
        _own.process, _own.sandbox = os.getpid(), Sandbox("", own_grader=GRADER)
    return _own.sandbox


class ReasoningGymReward(Reward):
    """Score of the completion's answer by its task of reasoning-gym, for rows of
    `data.train: reasoning-gym:TASK`.

    The answer is the text after the last `after`; without `after` the last <answer> element, or the
    whole completion if it has none.  Many tasks give a wrong answer a little, such as 0.01, which
    would make a contrast of two wrong completions: `threshold` makes the score 0 or 1.
    """

    gives_answers: ClassVar[bool] = True

    type: Literal["reasoning_gym"] = Field(description="Type of the reward.")
    after: Marker | None = Field(
        default=None,
        description="Score only the text after the last occurrence of this marker; a completion "
        "without it scores 0.",
    )
    threshold: float | None = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Score 1 from this score of the task on, else 0; null: the score itself.",
    )

    @property
    def expects_answer(self) -> bool:
        return True

    @property
    def graded(self) -> bool:
        return self.threshold is None

    @property
    def reads_row(self) -> bool:
        return True

    def prepare(self) -> None:
        if find_spec(LIBRARY) is None:
            raise ModuleNotFoundError("reasoning-gym is not installed", name="reasoning-gym")
        gym_sandbox().start()

    def check_answer(self, case: Case) -> None:
        _item(case.fields)

    def score(self, case: Case) -> float:
        answer = self.answer_of(case.text)
        if answer is None:
            return 0.0
        score = gym_sandbox().grade({"output_text": answer}, _item(case.fields))
        return score if self.threshold is None else float(score >= self.threshold)

    def completion_for(self, case: Case) -> str | None:
        answer = case.fields.get("answer")
        return placed(answer, self.after) if isinstance(answer, str) and answer else None

    def answer_of(self, completion: str) -> str | None:
        if self.after is not None:
            return text_after(completion, self.after)
        elements = ELEMENT.findall(completion)
        return (elements[-1] if elements else completion).strip()


def _item(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a scorer reads of a row.

    Raises:
        ValueError: the row is none of a task.
    """
    missing = [name for name in READ if name not in fields]
    if missing:
        raise ValueError(
            f"the row has no field {missing[0]!r}: this reward is for rows of reasoning-gym:TASK"
        )
    return {name: fields[name] for name in READ}
