"""A reward that misbehaves as the answer says; importable in the scoring process."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from grpo.rewards.reward import Case, Reward


def divide() -> float:
    return 1 / 0


def hang() -> float:
    while True:
        pass


def bloat() -> float:
    return len(bytearray(64 << 30))


def kill() -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return hang()


def end_once(file: str) -> float:
    """Stop as with the whole service; the second time nothing happens."""
    if not Path(file).exists():
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGTERM)
    return 1.0


def sleep(seconds: str) -> float:
    time.sleep(float(seconds))
    return 1.0


ORDERS: dict[str, Callable[..., float]] = {
    "": lambda: 1.0,
    "raise": divide,
    "hang": hang,
    "bloat": bloat,
    "end": lambda: os._exit(7),
    "kill": kill,
    "end once": end_once,
    "sleep": sleep,
    "pid": os.getpid,
    "nan": lambda: float("nan"),
}


class MisbehavingReward(Reward):
    type: Literal["misbehaving"] = "misbehaving"

    def score(self, case: Case) -> float:
        name, *arguments = case.answer.split(":")
        return ORDERS[name](*arguments)


class UnloadableReward(Reward):
    type: Literal["unloadable"] = "unloadable"

    def prepare(self) -> None:
        raise ModuleNotFoundError("No module named 'something'")

    def score(self, case: Case) -> float:
        raise AssertionError(case)
