"""The tokenizer of bytes."""

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import MODELS


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)


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


def test_bytes_that_are_not_utf_8_become_replacement_characters(tokenizer: PreTrainedTokenizerBase):
    assert tokenizer.decode([0x41, 0xFF, 0x42], skip_special_tokens=True) == "A\ufffdB"
