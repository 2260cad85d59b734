"""Known facts of a data source, without reading all of it again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from grpo.builtin.catalogue import DATASETS
from grpo.data.inspection import HEAD_ROWS
from grpo.data.rows import Row
from grpo.spec.data import DataSource

READ_WHOLE_BYTES = 8 << 20  # of a file whose rows are all checked before a job is queued


@dataclass(frozen=True)
class DataFacts:
    """A source's name and size, and for each field the reason why a template cannot use it."""

    name: str
    num_rows: int
    fields: Mapping[str, str | None]
    rows: Callable[[], Sequence[Row]]
    """The first rows, without very large ones."""
    head_bytes: int
    """Size of the first rows."""
    num_bytes: int = 0
    """Size of a file."""
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

    head = list(islice(rows(), HEAD_ROWS))
    return DataFacts(
        name,
        num_rows=sum(1 for _ in rows()),
        fields=dict.fromkeys(head[0].fields),
        rows=lambda: head,
        head_bytes=sum(len(str(row.fields)) for row in head),
    )
