"""The result of one check of the doctor."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The result of one check; `advice` says what to do about a problem."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    advice: str | None = None


def ok(name: str, said: str) -> Finding:
    return Finding(name, "ok", said)


def warn(name: str, said: str, advice: str) -> Finding:
    """Return the finding of a check that passed with restrictions."""
    return Finding(name, "warn", said, advice)


def fail(name: str, said: str, advice: str) -> Finding:
    """Return the finding of a check that failed."""
    return Finding(name, "fail", said, advice)
