"""Checks of a spec's data before training."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from grpo.data.row_check import RowCheck
from grpo.data.row_reader import Reading
from grpo.data.rows import MAX_NAME_TOLD, RowError, told
from grpo.data.sources import hub_setting, source_names
from grpo.data.unusable import OnUnusable, UnusableRows
from grpo.rewards.reward import Case, Reward
from grpo.spec.data import Data, DataSource
from grpo.spec.resolve import MAX_PROBLEMS
from grpo.validation.facts import DataFacts, FactsOf
from grpo.validation.named_fields import NamedFields
from grpo.validation.reward_fields import fields_of_rewards, unknown_fields
from grpo.validation.row_checks import RowChecks, SourceRows
from grpo.values.template import field_names

Problems = Iterator[tuple[str, str]]

SAMPLE_CHARACTERS = 16_000  # of a row used in test completions, some of which repeat it many times


@dataclass(frozen=True)
class _Named:
    """A source, its pointer in the spec, and its name in problems."""

    source: DataSource
    reading: Reading
    field: str  # of `data`
    label: str
    entry: str | None  # its pointer in a list; None: a single source
    pointer: str

    def setting(self, name: str) -> str:
        """Return the pointer of a setting: the source's, or else the section's."""
        own = self.entry is not None and getattr(self.source, name, None) is not None
        return f"{self.entry}/{name}" if own else f"/data/{name}"


class DataCheck:
    """Checks the `data` of one request's specs; common sources are checked once."""

    def __init__(self, facts_of: FactsOf, rows: RowChecks) -> None:
        self._facts_of = facts_of
        self._rows = rows
        self._fields: dict[str, NamedFields] = {}
        """Results, by the template that names the fields."""
        self._of_rewards: dict[tuple[int, ...], tuple[Sequence[Reward], NamedFields]] = {}
        """Results, by the rewards' identities."""

    def problems(self, data: Data, rewards: Sequence[Reward]) -> Problems:
        """Return problems that would fail on every worker: unusable sources, fields that no row
        has, and too many unusable rows."""
        of_rewards = self._named_in_rewards(rewards)
        sound: list[tuple[_Named, SourceRows]] = []
        for named in _all_named(data):
            try:
                facts = self._facts_of(named.source)
            except ValueError as error:
                yield named.pointer, str(error)
                continue
            if facts is None:
                continue
            yield from unknown_fields(of_rewards, f"data.{named.field}", facts.fields)
            problems = list(islice(self._field_problems(named, facts), MAX_PROBLEMS))
            yield from problems
            if not problems:
                sound.append((named, self._source_rows(facts, named.reading)))
        checked = self._rows.check([rows for _, rows in sound], rewards)
        for (named, rows), found in zip(sound, checked, strict=True):
            yield from self._row_problems(named, rows, found, data.unusable)

    def num_prompts(self, data: Data) -> int | None:
        """Return the number of rows of all training sources; None: unknown here.

        Raises:
            ValueError: a source does not exist.
        """
        num_rows = 0
        for source in data.train_sources:
            facts = self._facts_of(source)
            if facts is None:
                return None
            num_rows += facts.num_rows
        return num_rows

    def samples(self, data: Data, count: int) -> list[Case]:
        """Return answers and fields of the first usable rows of each known training source, about
        `count` in total, without large rows.

        Raises:
            ValueError: the data has not been checked.
        """
        sources = [(source, self._facts_of(source)) for source in data.train_sources]
        known = [(Reading.of(source, data), facts) for source, facts in sources if facts]
        return [
            case
            for reading, facts in known
            for case in islice(self._cases(reading, facts), max(1, count // len(known)))
        ]

    def _cases(self, reading: Reading, facts: DataFacts) -> Iterator[Case]:
        for row in facts.rows():
            if len(json.dumps(row.fields)) <= SAMPLE_CHARACTERS:
                with suppress(RowError):
                    yield Case("", 0, reading.expected_answer(row), row.fields)

    def _field_problems(self, named: _Named, facts: DataFacts) -> Problems:
        """Yield settings that do not apply to the source, and fields that no row has."""
        if setting := hub_setting(named.source):
            yield named.setting(setting), "only hub data sets have this setting"
        reading = named.reading
        for setting, template in (("prompt", reading.prompt), ("answer", reading.answer)):
            for _, field in self._named_in(template or "").missing(facts.fields):
                yield named.setting(setting), _no_such_field(named, facts, field)
        if reading.messages is not None:
            for _, field in NamedFields.of([("", reading.messages)]).missing(facts.fields):
                yield named.setting("messages"), _no_such_field(named, facts, field)

    def _source_rows(self, facts: DataFacts, reading: Reading) -> SourceRows:
        templates = (reading.prompt or "", reading.answer)
        return SourceRows(facts, reading, tuple(map(self._named_in, templates)))

    def _named_in_rewards(self, rewards: Sequence[Reward]) -> NamedFields:
        key = tuple(map(id, rewards))
        if key not in self._of_rewards:
            self._of_rewards[key] = (rewards, fields_of_rewards(rewards))
        return self._of_rewards[key][1]

    def _named_in(self, template: str) -> NamedFields:
        if template not in self._fields:
            self._fields[template] = NamedFields.of(("", name) for name in field_names(template))
        return self._fields[template]

    def _row_problems(
        self, named: _Named, rows: SourceRows, checked: RowCheck | None, unusable: OnUnusable
    ) -> Problems:
        if checked is None:
            yield from self._first_problem(named, rows)
        elif checked.rows.refuses(unusable):
            for setting, reason in checked.blamed.items():
                yield named.setting(setting), f"{named.label}: {_first(checked.rows, reason)}"

    def _first_problem(self, named: _Named, rows: SourceRows) -> Problems:
        """Return the first problem of the trainer with the first rows' messages and answers, if not
        every row is checked."""
        reading, setting = named.reading, "messages"
        if reading.messages is None and reading.answer_after is None:
            return  # the fields were checked in every row
        try:
            for row in self._rows.first_rows(rows):
                setting = "messages"
                reading.conversation(row)
                setting = "answer_after"
                reading.expected_answer(row)
        except RowError as error:
            yield named.setting(setting), f"{named.label}: {error}"


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
                yield _Named(source, reading, field, label, entry, f"{entry}/source")
            else:
                yield _Named(source, reading, field, f"data.{field}", None, at)


def _no_such_field(named: _Named, facts: DataFacts, field: str) -> str:
    name, there = field[:MAX_NAME_TOLD], told(facts.fields)
    return f"no row of {named.label} has the field {name!r}; available fields: {there}"
