"""A spec's first training rows, made into prompts and answers as in training."""

from collections.abc import Sequence

from api.schemas.files import FieldView
from api.schemas.preview import DataPreview, PreviewMessage, PreviewRow, SourcePreview
from api.submission.data_facts import ProjectData
from grpo.data.row_reader import Reading
from grpo.data.rows import Row, RowError
from grpo.spec.data import Data
from grpo.spec.resolve import SpecError
from grpo.validation.facts import DataFacts
from store.log.payloads import clean_text

SHOWN_ROWS = 5
SHOWN_MESSAGES = 50  # a row may hold megabytes
SHOWN_CHARACTERS = 4000  # per text


def preview(project: ProjectData, data: Data) -> DataPreview:
    """Preview the training sources.

    Raises:
        SpecError: a source does not exist or may not be used here.
    """
    try:
        project.look_up(source.source for source in data.train_sources)
        known = [(source, project.facts(source)) for source in data.train_sources]
    except ValueError as error:
        raise SpecError([("/train", str(error))]) from None
    previews = [
        SourcePreview(source=source.source, num_rows=None, fields=[], rows=[])
        if facts is None
        else _source(facts, facts.rows(), Reading.of(source, data))
        for source, facts in known
    ]
    return DataPreview(data=previews)


def _source(facts: DataFacts, rows: Sequence[Row], reading: Reading) -> SourcePreview:
    return SourcePreview(
        source=facts.name,
        num_rows=facts.num_rows,
        fields=[FieldView(name=name, problem=problem) for name, problem in facts.fields.items()],
        rows=[_row(row, reading) for row in rows[:SHOWN_ROWS]],
    )


def _row(row: Row, reading: Reading) -> PreviewRow:
    """Rows made into prompts, up to the first unusable one."""
    messages, answer, problem = [], None, None
    try:
        messages = reading.conversation(row)
        if reading.system is not None:
            messages = [{"role": "system", "content": reading.system}, *messages]
        answer = _shown(reading.expected_answer(row))
    except RowError as error:
        problem = str(error)
    shown = [
        PreviewMessage(role=each["role"], content=_shown(each["content"]))
        for each in messages[:SHOWN_MESSAGES]
    ]
    return PreviewRow(number=row.number, messages=shown, answer=answer, problem=problem)


def _shown(text: str) -> str:
    cut = clean_text(text[:SHOWN_CHARACTERS])
    return cut if len(text) <= SHOWN_CHARACTERS else f"{cut}…"
