"""Checks of a spec's data before training."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from grpo.data.row_check import RowCheck
from grpo.data.row_reader import Reading
from grpo.data.rows import MAX_NAME_TOLD, RowError, told
from grpo.data.sources import hub_setting, source_names
from grpo.data.unusable import UnusableRows
from grpo.rewards.reward import Case
from grpo.spec.data import Data, DataSource
from grpo.validation.facts import DataFacts, FactsOf
from grpo.values.members import root_of
from grpo.values.template import field_names

Problems = Iterator[tuple[str, str]]

SAMPLE_CHARACTERS = 16_000  # of a row for test completions, some of which repeat it many times
TRIED_ROWS = 20  # per source, for checks that the trainer makes on every row

LookAtRows = Callable[[Reading, DataFacts], RowCheck | None]
"""Finds the problems of a source's rows; None: left to the worker."""


@dataclass(frozen=True)
class _Named:
    """A source, its pointer in the spec, and its name in problems."""

    source: DataSource
    reading: Reading
    label: str
    entry: str | None  # its pointer in a list; None: the source is a single text
    pointer: str

    def setting(self, name: str) -> str:
        """The pointer of a setting: the source's own, or else the section's."""
        own = self.entry is not None and getattr(self.source, name, None) is not None
        return f"{self.entry}/{name}" if own else f"/data/{name}"


def data_problems(data: Data, facts_of: FactsOf, look_at_rows: LookAtRows) -> Problems:
    """Yield problems that no worker could overcome, including too many unusable rows."""
    for named in _all_named(data):
        try:
            facts = facts_of(named.source)
        except ValueError as error:
            yield named.pointer, str(error)
            continue
        if facts is None:
            continue
        if setting := hub_setting(named.source):
            yield named.setting(setting), "only hub data sets have this setting"
        fields = list(_field_problems(named, facts))
        checked = None if fields else look_at_rows(named.reading, facts)
        if checked is None:
            yield from fields or _row_problems(named, facts)
        elif checked.rows.refuses(data.unusable):
            for setting, reason in checked.blamed.items():
                yield named.setting(setting), f"{named.label}: {_first(checked.rows, reason)}"


def num_prompts(data: Data, facts_of: FactsOf) -> int | None:
    """Return the rows of all training sources together; None: unknown here.

    Raises:
        ValueError: a source does not exist.
    """
    num_rows = 0
    for source in data.train_sources:
        facts = facts_of(source)
        if facts is None:
            return None
        num_rows += facts.num_rows
    return num_rows


def samples(data: Data, facts_of: FactsOf, count: int) -> list[Case]:
    """Return the answers and fields of the first rows of each known training source, about `count`
    in all, without large rows.

    Raises:
        RowError, ValueError: the data has not been checked.
    """
    sources = [(source, facts_of(source)) for source in data.train_sources]
    known = [(Reading.of(source, data), facts) for source, facts in sources if facts]
    return [
        Case("", 0, reading.expected_answer(row), row.fields)
        for reading, facts in known
        for row in islice(facts.rows(), max(1, count // len(known)))
        if len(json.dumps(row.fields)) <= SAMPLE_CHARACTERS
    ]


def _first(rows: UnusableRows, reason: str) -> str:
    return f"{rows.num_unusable} of {rows.num_rows} rows cannot be used (data.unusable): {reason}"


def _all_named(data: Data) -> Iterator[_Named]:
    for field, written, sources in (
        ("train", data.train, data.train_sources),
        ("eval", data.eval, data.eval_sources),
        ("test", data.test, data.test_sources),
    ):
        names = source_names(sources)
        for place, (source, name) in enumerate(zip(sources, names, strict=True)):
            reading, at = Reading.of(source, data), f"/data/{field}"
            if isinstance(written, list):
                label, entry = f"data.{field}, source {name!r}", f"{at}/{place}"
                yield _Named(source, reading, label, entry, f"{entry}/source")
            else:
                yield _Named(source, reading, f"data.{field}", None, at)


def _field_problems(named: _Named, facts: DataFacts) -> Problems:
    """Fields that no row has."""
    reading = named.reading
    templates = {"prompt": reading.prompt, "answer": reading.answer}
    for setting, template in templates.items():
        for field in field_names(template or ""):
            root = root_of(field, facts.fields)
            if root is None:
                yield named.setting(setting), _no_such_field(named, facts, field)
    if reading.messages is not None and root_of(reading.messages, facts.fields) is None:
        yield named.setting("messages"), _no_such_field(named, facts, reading.messages)


def _no_such_field(named: _Named, facts: DataFacts, field: str) -> str:
    name, there = field[:MAX_NAME_TOLD], told(facts.fields)
    return f"no row of {named.label} has a field {name!r}; the fields are {there}"


def _row_problems(named: _Named, facts: DataFacts) -> Problems:
    """The first problem that the trainer would have with the first rows' messages and answers."""
    reading, setting = named.reading, "messages"
    if reading.messages is None and reading.answer_after is None:
        return  # the fields were checked in every row
    try:
        for row in islice(facts.rows(), TRIED_ROWS):
            setting = "messages"
            reading.conversation(row)
            setting = "answer_after"
            reading.expected_answer(row)
    except RowError as error:
        yield named.setting(setting), f"{named.label}: {error}"
