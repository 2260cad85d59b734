"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`advice` says what to do; there is none where all is well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    advice: str | None = None


def ok(name: str, said: str) -> Finding:
    return Finding(name, "ok", said)


def warn(name: str, said: str, advice: str) -> Finding:
    """It works, but not for everything."""
    return Finding(name, "warn", said, advice)


def fail(name: str, said: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(name, "fail", said, advice)
