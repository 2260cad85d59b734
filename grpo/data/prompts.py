"""Prompts made from rows: text, token ids and expected answer."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from grpo.builtin.catalogue import DATASETS
from grpo.data.files import read_rows
from grpo.data.gym_rows import gym_rows
from grpo.data.hub import read_hub
from grpo.data.row_reader import Message, Reading
from grpo.data.rows import Row, RowError
from grpo.data.source_ref import Kind, data_ref
from grpo.data.sources import SourceShare, hub_setting, source_names
from grpo.data.unusable import UnusableCount, UnusableRows
from grpo.errors import RunError
from grpo.spec.data import Data, DataSource

OPENING = re.compile(r"(<[A-Za-z][A-Za-z0-9_-]{0,39}>)\s*$")
CHECKED_AT_ONCE = 1000  # prompts whose answers are checked together
LONGEST_OPENING = 100  # characters of a tag and the space after it


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    `index` is the position among the kept prompts, `row` the position in the source, `text` the
    prompt without the chat template's markup, `token_ids` the model's input, `fields` the whole
    row, `messages` the conversation including `data.system`, and `opening` the tag at the end of
    the input, as written by chat templates that open the thinking block.
    """

    index: int
    row: int
    text: str
    token_ids: tuple[int, ...]
    answer: str
    source: str
    fields: Mapping[str, Any]
    messages: tuple[Message, ...] = ()
    opening: str = ""


@dataclass(frozen=True)
class PromptSet:
    """Prompts of all sources, grouped by source in the order of `sources`."""

    prompts: list[Prompt]
    num_too_long: int
    sources: tuple[SourceShare, ...]
    warnings: tuple[str, ...] = ()
    """Warnings about rows that are left out."""


CheckAnswers = Callable[[Sequence[Prompt]], list[str | None]]
"""For each prompt the reason why no completion of it could be scored, or None."""


def load_prompts(
    sources: Sequence[DataSource],
    *,
    data: Data,
    tokenizer: PreTrainedTokenizerBase,
    split: str,
    check_answers: CheckAnswers | None = None,
) -> PromptSet:
    """Return the prompts of all sources.  Prompts that are too long are dropped or truncated on the
    left, as `data.too_long` says, and counted.

    `split`: default split of a hub data set.

    Raises:
        RunError: `bad_data`, when a row cannot be used or no prompt of a source is left.
    """
    loader = _Loader(data, tokenizer, check_answers)
    prompts: list[Prompt] = []
    shares: list[SourceShare] = []
    warnings: list[str] = []
    num_too_long = 0
    for name, source in zip(source_names(sources), sources, strict=True):
        loaded, source_too_long, unusable = loader.load(source, name, split=split)
        if unusable.refuses(data.unusable):
            raise _refused(source, unusable)
        if unusable.num_unusable:
            warnings.append(f"{name}: {unusable}; they are left out")
        if not loaded:
            raise _no_prompts(source, unusable, num_too_long=source_too_long, data=data)
        first = len(prompts)
        prompts += [replace(prompt, index=first + n) for n, prompt in enumerate(loaded)]
        shares.append(SourceShare(name, len(loaded), source.weight))
        num_too_long += source_too_long
    return PromptSet(prompts, num_too_long, tuple(shares), tuple(warnings))


class _Loader:
    """Reader of sources for one model."""

    def __init__(
        self, data: Data, tokenizer: PreTrainedTokenizerBase, check_answers: CheckAnswers | None
    ) -> None:
        self._data = data
        self._check_answers = check_answers
        self._tokenizer = tokenizer
        self._chat = _uses_chat_template(data, tokenizer)

    def load(
        self, source: DataSource, name: str, *, split: str
    ) -> tuple[list[Prompt], int, UnusableRows]:
        """Return a source's prompts, the number that were too long, and the unusable rows."""
        limit, cut = self._data.max_prompt_tokens, self._data.too_long == "cut_left"
        count = UnusableCount()
        prompts: list[Prompt] = []
        num_too_long = 0
        for prompt in self._checked(source, name, split=split, count=count):
            too_long = len(prompt.token_ids) > limit
            num_too_long += too_long
            if cut or not too_long:
                prompts.append(replace(prompt, token_ids=prompt.token_ids[-limit:]))
        return prompts, num_too_long, count.result()

    def _checked(
        self, source: DataSource, name: str, *, split: str, count: UnusableCount
    ) -> Iterator[Prompt]:
        """Return the prompts whose answers can be used."""
        read = self._read(source, name, split=split, count=count)
        while some := list(islice(read, CHECKED_AT_ONCE)):
            causes = self._check_answers(some) if self._check_answers else [None] * len(some)
            for prompt, cause in zip(some, causes, strict=True):
                if cause is None:
                    count.add_usable()
                    yield prompt
                else:
                    count.add(f"row {prompt.row}: {cause}")

    def _read(
        self, source: DataSource, name: str, *, split: str, count: UnusableCount
    ) -> Iterator[Prompt]:
        """Yield each row as a prompt of any length, without an index yet.

        Raises:
            RunError: `bad_data`, the source cannot be read.
        """
        reading = Reading.of(source, self._data)
        try:
            for row in _rows(source, split=split):
                try:
                    prompt = self._prompt(reading, row, name)
                except RowError as error:
                    count.add(str(error))
                else:
                    yield prompt
        except (RowError, OSError) as error:
            raise RunError(
                "bad_data",
                f"{source.source}: {error}",
                hint="Correct the row named there, or the templates of `data`.",
            ) from error

    def _prompt(self, reading: Reading, row: Row, name: str) -> Prompt:
        """
        Raises:
            RowError: the row cannot be used.
        """
        conversation = reading.conversation(row)
        messages = self._asked(conversation)
        written = self._written(list(messages), row)
        return Prompt(
            index=0,
            row=row.number,
            text=_shown(conversation),
            token_ids=self._encode(written, row),
            answer=reading.expected_answer(row),
            source=name,
            fields=row.fields,
            messages=messages,
            opening=_opening(written),
        )

    def _asked(self, conversation: Sequence[Message]) -> tuple[Message, ...]:
        """Return a conversation with the system message before it."""
        system = self._data.system
        first = [] if system is None else [{"role": "system", "content": system}]
        return (*first, *conversation)

    def _encode(self, whole: str, row: Row) -> tuple[int, ...]:
        # The chat template already added the special tokens.  The length is checked later.
        encoded = self._tokenizer(whole, add_special_tokens=not self._chat, verbose=False)
        if not encoded["input_ids"]:
            raise RowError(f"{row.place}: the prompt is empty")
        return tuple(encoded["input_ids"])

    def _written(self, messages: list[Message], row: Row) -> str:
        """Return messages rendered by the model's chat template, or their contents separated by
        empty lines."""
        if not self._chat:
            return "\n\n".join(message["content"] for message in messages)
        settings: dict[str, Any] = self._data.chat_template_kwargs
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=True,
                    **settings,
                )
            )
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise RowError(f"{row.place}: the model's chat template raised: {reason}") from error


def _rows(source: DataSource, *, split: str) -> Iterator[Row]:
    kind, path = data_ref(source.source).kind, Path(source.source)
    if kind is Kind.GYM:
        return gym_rows(source)
    builtin = kind is Kind.BUILTIN
    if not builtin and (path.is_dir() or (kind is Kind.HUB and not path.is_file())):
        return read_hub(source, split=split)
    if setting := hub_setting(source):
        raise RowError(f"{setting} applies only to hub data sets")
    if not builtin:
        return read_rows(path)
    rows = DATASETS[source.source].rows()
    return (Row(number, fields, "row") for number, fields in enumerate(rows, start=1))


def _shown(conversation: Sequence[Message]) -> str:
    """Return a conversation as readable text: a single message's content, or role and content."""
    if len(conversation) == 1:
        return conversation[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in conversation)


def _opening(written: str) -> str:
    found = OPENING.search(written[-LONGEST_OPENING:])
    return found[1] if found else ""


def _uses_chat_template(data: Data, tokenizer: PreTrainedTokenizerBase) -> bool:
    if data.chat == "always" and not tokenizer.chat_template:
        raise RunError(
            "bad_data",
            "data.chat is 'always' but the model has no chat template",
            hint="Set data.chat to 'auto' or 'never', or choose a chat model.",
        )
    return data.chat != "never" and bool(tokenizer.chat_template)


def _refused(source: DataSource, unusable: UnusableRows) -> RunError:
    return RunError(
        "bad_data",
        f"{source.source}: {unusable}",
        hint="Correct these rows, data.prompt, data.answer or data.answer_after; or set "
        "data.unusable to skip, which leaves them out.",
    )


def _no_prompts(
    source: DataSource, unusable: UnusableRows, *, num_too_long: int, data: Data
) -> RunError:
    if unusable.num_unusable:
        return _refused(source, unusable)
    if num_too_long:
        return RunError(
            "bad_data",
            f"all {num_too_long} prompts of {source.source} are longer than "
            f"{data.max_prompt_tokens} tokens",
            hint="Raise data.max_prompt_tokens, or set data.too_long to cut_left.",
        )
    return RunError(
        "bad_data",
        f"{source.source} has no rows",
        hint="Use a JSONL file with one object per line, a CSV or a Parquet file.",
    )
