"""From rows to prompts: text, token ids and the expected answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from grpo.builtin.catalogue import DATASETS
from grpo.data.rows import Row, RowError, read_rows, render
from grpo.errors import RunError
from grpo.rewards.reward import text_after
from grpo.spec.data import Data


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    `index` is its position among the kept prompts, `row` its line in the data, `text` what the
    template made of the row (without the chat template's markup), `token_ids` what the model reads.
    """

    index: int
    row: int
    text: str
    token_ids: tuple[int, ...]
    answer: str


@dataclass(frozen=True)
class PromptSet:
    prompts: list[Prompt]
    num_too_long: int


def load_prompts(
    source: str, *, data: Data, tokenizer: PreTrainedTokenizerBase, max_prompt_tokens: int
) -> PromptSet:
    """The prompts of a built-in data set or a JSONL file; those too long are left out and counted.

    Raises:
        RunError: `bad_data`, when a row cannot be used or no prompt is left.
    """
    chat = _uses_chat_template(data, tokenizer)
    prompts: list[Prompt] = []
    num_too_long = 0
    try:
        for row in _rows(source):
            text = render(data.prompt, row)
            token_ids = _encode(text, data=data, chat=chat, tokenizer=tokenizer)
            answer = expected_answer(row, data)
            if not token_ids:
                raise RowError(f"line {row.number}: the prompt is empty")  # noqa: TRY301
            if len(token_ids) > max_prompt_tokens:
                num_too_long += 1
            else:
                prompts.append(Prompt(len(prompts), row.number, text, token_ids, answer))
    except (RowError, OSError) as error:
        raise RunError(
            "bad_data", f"{source}: {error}", hint="Correct that line, or the data's templates."
        ) from error
    if not prompts:
        raise _no_prompts(source, num_too_long=num_too_long, max_prompt_tokens=max_prompt_tokens)
    return PromptSet(prompts, num_too_long)


def expected_answer(row: Row, data: Data) -> str:
    """The answer that a row's completions are compared with.

    Raises:
        RowError: a field is missing, or the marker `answer_after` is.
    """
    answer = render(data.answer, row)
    if data.answer_after is None:
        return answer
    kept = text_after(answer, data.answer_after)
    if kept is None:
        raise RowError(f"line {row.number}: the answer does not contain {data.answer_after!r}")
    return kept


def _rows(source: str) -> Iterator[Row]:
    if source not in DATASETS:
        return read_rows(Path(source))
    return (Row(number, fields) for number, fields in enumerate(DATASETS[source].rows(), start=1))


def _uses_chat_template(data: Data, tokenizer: PreTrainedTokenizerBase) -> bool:
    if data.chat == "always" and not tokenizer.chat_template:
        raise RunError(
            "bad_data",
            "data.chat is 'always' but the model has no chat template",
            hint="Set data.chat to 'auto' or 'never', or choose a chat model.",
        )
    return data.chat != "never" and bool(tokenizer.chat_template)


def _encode(
    text: str, *, data: Data, chat: bool, tokenizer: PreTrainedTokenizerBase
) -> tuple[int, ...]:
    """Token ids of a prompt.  Without a chat template the system message is a first paragraph."""
    if not chat:
        whole = text if data.system is None else f"{data.system}\n\n{text}"
        return tuple(tokenizer(whole, verbose=False)["input_ids"])  # its length is checked here
    system = [] if data.system is None else [{"role": "system", "content": data.system}]
    messages = [*system, {"role": "user", "content": text}]
    whole = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    # The chat template has written the special tokens already.
    return tuple(tokenizer(str(whole), add_special_tokens=False, verbose=False)["input_ids"])


def _no_prompts(source: str, *, num_too_long: int, max_prompt_tokens: int) -> RunError:
    if num_too_long:
        return RunError(
            "bad_data",
            f"all {num_too_long} prompts of {source} are longer than {max_prompt_tokens} tokens",
            hint="Raise data.max_prompt_tokens.",
        )
    return RunError(
        "bad_data", f"{source} holds no rows", hint="Give a JSONL file with one object a line."
    )
