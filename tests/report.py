"""Findings of a test that is a program of its own: passed, failed, or not measured."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Finding:
    promise: str
    outcome: Outcome
    seconds: float = 0
    said: str = ""
    """The reason for a failure, or why nothing was measured."""


class Report:
    """Findings in their order.  A promise is passed only where its work ran to its end."""

    def __init__(
        self, *, failures: tuple[type[Exception], ...], say: Callable[[str], None]
    ) -> None:
        """`failures`: what the work raises where a promise is broken, besides AssertionError."""
        self.findings: list[Finding] = []
        self._failures = (AssertionError, *failures)
        self._say = say

    def measure(
        self, promise: str, work: Callable[[], object], *, needs: Sequence[str] = ()
    ) -> None:
        """Do the work, unless a promise that it needs was not kept."""
        unmet = [need for need in needs if self._outcome(need) is not Outcome.PASSED]
        if unmet:
            self.leave_out(promise, f"needs: {unmet[0]}")
            return
        began = time.monotonic()
        try:
            work()
        except self._failures as error:
            said = f"{type(error).__name__}: {error}"
            self._add(Finding(promise, Outcome.FAILED, time.monotonic() - began, said))
        else:
            self._add(Finding(promise, Outcome.PASSED, time.monotonic() - began))

    def leave_out(self, promise: str, why: str) -> None:
        self._add(Finding(promise, Outcome.NOT_MEASURED, said=why))

    @property
    def exit_code(self) -> int:
        """0: no promise is broken and some were kept; 1: one is broken; 2: none was measured."""
        outcomes = {finding.outcome for finding in self.findings}
        if Outcome.FAILED in outcomes:
            return 1
        return 0 if Outcome.PASSED in outcomes else 2

    def _outcome(self, promise: str) -> Outcome:
        [found] = [finding for finding in self.findings if finding.promise == promise]
        return found.outcome

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._say("\n".join(_lines(finding)))


def _lines(finding: Finding) -> Iterator[str]:
    took = f"{finding.seconds:6.0f} s" if finding.outcome is not Outcome.NOT_MEASURED else " " * 8
    yield f"{finding.outcome:<13}{took}  {finding.promise}"
    yield from (f"{'':23}{line}" for line in finding.said.splitlines())
