from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import MODELS
from grpo.data.prompts import load_prompts
from grpo.errors import RunError
from grpo.spec.data import Data

CHAT_TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}]{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)


@pytest.fixture
def chat_tokenizer() -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def write(folder: Path, *lines: str) -> str:
    path = folder / "data.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "7+5+9=",
        "Zoë 世界 🙂",
        "\x00 a\x00b",
        " \t\r\n  two  spaces , and . stops",
        "<|end|><|pad|>",
        "".join(map(chr, range(0x300))),
    ],
)
def test_the_byte_tokenizer_takes_any_text_and_gives_it_back(
    text: str, tokenizer: PreTrainedTokenizerBase
):
    token_ids = tokenizer(text, verbose=False)["input_ids"]
    assert token_ids == list(text.encode())  # a token's id is its byte's value
    assert tokenizer.decode(token_ids, skip_special_tokens=True) == text


def test_letters_and_accents_are_composed_as_for_every_qwen2_model(
    tokenizer: PreTrainedTokenizerBase,
):
    assert tokenizer("e\u0301")["input_ids"] == list("é".encode())


def test_bytes_that_are_no_utf_8_become_replacement_characters(tokenizer: PreTrainedTokenizerBase):
    assert tokenizer.decode([0x41, 0xFF, 0x42], skip_special_tokens=True) == "A\ufffdB"


def test_a_row_becomes_text_tokens_and_answer(tmp_path: Path, tokenizer: PreTrainedTokenizerBase):
    source = write(
        tmp_path, '{"q": "2+2", "a": "two and two #### 4"}', "", '{"q": "é\\u0000", "a": "#### 5"}'
    )
    data = Data(prompt="Q: {{q}}", answer="{{a}}", answer_after="####")
    first, second = load_prompts(
        source, data=data, tokenizer=tokenizer, max_prompt_tokens=64
    ).prompts
    assert (first.index, first.row, first.text, first.answer) == (0, 1, "Q: 2+2", "4")
    assert first.token_ids == tuple(b"Q: 2+2")
    assert (second.index, second.row, second.text, second.answer) == (1, 3, "Q: é\x00", "5")
    assert second.token_ids == (*b"Q: ", 0xC3, 0xA9, 0)


def test_prompts_too_long_are_left_out_and_counted(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
):
    rows = [f'{{"question": "{"x" * length}", "answer": 1}}' for length in (5, 4, 6, 3)]
    loaded = load_prompts(
        write(tmp_path, *rows), data=Data(), tokenizer=tokenizer, max_prompt_tokens=4
    )
    assert [(prompt.index, prompt.row) for prompt in loaded.prompts] == [(0, 2), (1, 4)]
    assert loaded.num_too_long == 2


def test_a_chat_model_reads_prompts_in_its_template(
    tmp_path: Path, chat_tokenizer: PreTrainedTokenizerBase
):
    source = write(tmp_path, '{"question": "2+2", "answer": 4}')

    def read(**settings: str) -> bytes:
        data = Data.model_validate(settings)
        (prompt,) = load_prompts(
            source, data=data, tokenizer=chat_tokenizer, max_prompt_tokens=64
        ).prompts
        assert prompt.text == "2+2"
        return bytes(prompt.token_ids)

    assert read() == b"[user]2+2[assistant]"
    assert read(system="Be brief.") == b"[system]Be brief.[user]2+2[assistant]"
    assert read(chat="never") == b"2+2"
    assert read(chat="never", system="Be brief.") == b"Be brief.\n\n2+2"


@pytest.mark.parametrize(
    ("lines", "settings", "complaint"),
    [
        (['{"question": "x", "answer": 1}', "oops"], {}, "line 2 is not JSON"),
        (['{"question": "x"}'], {}, "line 1 has no field 'answer'; it has 'question'"),
        ([], {}, "holds no rows"),
        (['{"question": "", "answer": 1}'], {}, "line 1: the prompt is empty"),
        (['{"question": "12345", "answer": 1}'], {}, "all 1 prompts .* are longer than 4 tokens"),
        (['{"question": "x", "answer": 1}'], {"answer_after": "#"}, "line 1: the answer does not"),
        (['{"question": "x", "answer": 1}'], {"chat": "always"}, "has no chat template"),
    ],
)
def test_data_that_cannot_be_used_ends_the_run_and_says_why(
    lines: list[str],
    settings: dict[str, str],
    complaint: str,
    tmp_path: Path,
    tokenizer: PreTrainedTokenizerBase,
):
    with pytest.raises(RunError, match=complaint) as caught:
        load_prompts(
            write(tmp_path, *lines),
            data=Data.model_validate(settings),
            tokenizer=tokenizer,
            max_prompt_tokens=4,
        )
    assert caught.value.code == "bad_data"


def test_a_file_that_is_not_there_is_bad_data(tmp_path: Path, tokenizer: PreTrainedTokenizerBase):
    with pytest.raises(RunError, match="nowhere") as caught:
        load_prompts(
            str(tmp_path / "nowhere.jsonl"), data=Data(), tokenizer=tokenizer, max_prompt_tokens=4
        )
    assert caught.value.code == "bad_data"
