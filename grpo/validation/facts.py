"""Known facts about a data source, without reading it again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from grpo.builtin.catalogue import DATASETS
from grpo.builtin.gym_tasks import gym_task
from grpo.data.inspection import HEAD_ROWS
from grpo.data.rows import Row
from grpo.spec.data import GYM_SIZE, DataSource

READ_WHOLE_BYTES = 8 << 20  # largest file whose rows are all checked before a job is queued


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
    """Key in the artifact store, or path, of a file small enough to be read completely."""


FactsOf = Callable[[DataSource], DataFacts | None]
"""Returns the facts about a source; None: only workers can read it.

Raises ValueError if the source does not exist or is not allowed.
"""


@cache  # used by every spec with a preset's data; rows are generated on each call
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


def facts_of_gym(source: DataSource) -> DataFacts:
    """Return the facts of a reasoning-gym task, without generating it: its first rows are those of
    the default parameters and of seed 0.

    Raises:
        ValueError: there is no such task, or no such parameter.
    """
    task = gym_task(source.source)
    task.check_parameters(source.parameters or {})
    head = [Row(number, fields, "row") for number, fields in enumerate(task.rows, start=1)]
    return DataFacts(
        source.source,
        num_rows=source.size or GYM_SIZE,
        fields=task.fields,
        rows=lambda: head,
        head_bytes=sum(len(str(row.fields)) for row in head),
    )
