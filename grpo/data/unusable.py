"""Unusable rows: their number, and whether the source is used without them."""

from dataclasses import dataclass

from grpo.spec.data import OnUnusable

MOST_SKIPPED = 0.01
"""Maximum share of the rows that `auto` leaves out."""
NAMED = 3


@dataclass(frozen=True)
class UnusableRows:
    """Unusable rows of a source; `reasons` name the first ones."""

    num_rows: int
    num_unusable: int = 0
    reasons: tuple[str, ...] = ()

    def refuses(self, policy: OnUnusable) -> bool:
        """Whether the source is refused rather than used without these rows."""
        if self.num_unusable == 0 or policy == "skip":
            return False
        return policy == "refuse" or self.num_unusable > MOST_SKIPPED * self.num_rows

    def __str__(self) -> str:
        more = ", ..." if self.num_unusable > NAMED else ""
        share = self.num_unusable / self.num_rows
        return (
            f"{self.num_unusable} of {self.num_rows} rows ({share:.1%}) cannot be used: "
            f"{'; '.join(self.reasons[:NAMED])}{more}"
        )


class UnusableCount:
    """Counter of rows while they are read."""

    def __init__(self) -> None:
        self._num_rows = self._num_unusable = 0
        self._reasons: list[str] = []

    def add_usable(self) -> None:
        self._num_rows += 1

    def add(self, reason: str) -> None:
        self._num_rows += 1
        self._num_unusable += 1
        if len(self._reasons) < NAMED:
            self._reasons.append(reason)

    def result(self) -> UnusableRows:
        return UnusableRows(self._num_rows, self._num_unusable, tuple(self._reasons))
