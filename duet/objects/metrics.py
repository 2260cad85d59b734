"""A job's metrics as curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duet.errors import DuetError
from duet.objects.answer import Answer

if TYPE_CHECKING:
    import pandas


class Curve(Answer):
    """One value per step; None where it was not finite."""

    step: list[int]
    value: list[float | None]


class Metrics(Answer):
    """Curves by name, thinned with the lowest and highest kept."""

    metrics: dict[str, Curve]

    def __getitem__(self, name: str) -> Curve:
        return self.metrics[name]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame: a row per step, a column per metric, NaN where there is no value.

        Raises:
            DuetError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise DuetError("to_pandas() needs pandas: pip install pandas") from error
        columns = {
            name: pandas.Series(curve.value, index=curve.step, dtype=float)
            for name, curve in self.metrics.items()
        }
        return pandas.DataFrame(columns).rename_axis("step").sort_index()
