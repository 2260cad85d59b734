"""Known facts of a data source, without reading all of it again."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from grpo.builtin.catalogue import DATASETS
from grpo.data.rows import Row
from grpo.spec.data import DataSource

READ_WHOLE_BYTES = 8 << 20  # of a file whose rows are all checked before a job is queued


@dataclass(frozen=True)
class DataFacts:
    """A source's size, and for each field the reason why a template cannot use it."""

    num_rows: int
    fields: Mapping[str, str | None]
    rows: Callable[[], Iterator[Row]]
    """The first rows, without very large ones."""
    stored: str | None = None
    """Key in the artifact store, or path, of a file that is small enough to be read in full."""


FactsOf = Callable[[DataSource], DataFacts | None]
"""Returns the facts of a source; None: only workers read it.

Raises ValueError where the source does not exist or may not be used.
"""


@cache  # used by every spec with a preset's data, and the rows are generated each time
def facts_of_builtin(name: str) -> DataFacts:
    """Return the facts of a built-in data set."""

    def rows() -> Iterator[Row]:
        for number, fields in enumerate(DATASETS[name].rows(), start=1):
            yield Row(number, fields, "row")

    return DataFacts(sum(1 for _ in rows()), dict.fromkeys(next(rows()).fields), rows)
