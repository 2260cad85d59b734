"""Findings of a test that runs as a program: passed, failed, or not measured."""

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
    guarantee: str
    outcome: Outcome
    seconds: float = 0
    reason: str = ""
    """The reason for a failure, or why nothing was measured."""


class Report:
    """Findings in order.  A guarantee has passed only if its work ran to the end."""

    def __init__(
        self, *, failures: tuple[type[Exception], ...], say: Callable[[str], None]
    ) -> None:
        """`failures`: exceptions that mean a broken guarantee, besides AssertionError."""
        self.findings: list[Finding] = []
        self._failures = (AssertionError, *failures)
        self._say = say

    def measure(
        self, guarantee: str, work: Callable[[], object], *, needs: Sequence[str] = ()
    ) -> None:
        """Do the work, unless a guarantee that it needs has not passed."""
        unmet = [need for need in needs if self._outcome(need) is not Outcome.PASSED]
        if unmet:
            self.leave_out(guarantee, f"needs: {unmet[0]}")
            return
        began = time.monotonic()
        try:
            work()
        except self._failures as error:
            reason = f"{type(error).__name__}: {error}"
            self._add(Finding(guarantee, Outcome.FAILED, time.monotonic() - began, reason))
        else:
            self._add(Finding(guarantee, Outcome.PASSED, time.monotonic() - began))

    def leave_out(self, guarantee: str, why: str) -> None:
        self._add(Finding(guarantee, Outcome.NOT_MEASURED, reason=why))

    @property
    def exit_code(self) -> int:
        """0: some passed and none failed; 1: one failed; 2: nothing was measured."""
        outcomes = {finding.outcome for finding in self.findings}
        if Outcome.FAILED in outcomes:
            return 1
        return 0 if Outcome.PASSED in outcomes else 2

    def _outcome(self, guarantee: str) -> Outcome:
        [found] = [finding for finding in self.findings if finding.guarantee == guarantee]
        return found.outcome

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._say("\n".join(_lines(finding)))


def _lines(finding: Finding) -> Iterator[str]:
    took = f"{finding.seconds:6.0f} s" if finding.outcome is not Outcome.NOT_MEASURED else " " * 8
    yield f"{finding.outcome:<13}{took}  {finding.guarantee}"
    yield from (f"{'':23}{line}" for line in finding.reason.splitlines())
