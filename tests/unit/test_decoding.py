"""A completion's text."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import MODELS
from grpo.rollout.decoding import decode


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    folder: Path = MODELS["tiny-arithmetic"].folder
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "stop", "kept"),
    [
        ("1+1=2#2", [], "1+1=2#2"),
        ("1+1=2#2", ["#"], "1+1=2"),
        ("1+1=2#2", ["!"], "1+1=2#2"),
        ("1+1=2#2", ["#", "=2", "=2#"], "1+1"),  # the first in the text, whatever its place here
        ("a#b#c", ["#"], "a"),
        ("#2", ["#"], ""),
    ],
)
def test_a_text_ends_before_the_first_stop_string(
    tokenizer: PreTrainedTokenizerBase, text: str, stop: Sequence[str], kept: str
):
    assert decode(tokenizer, tokenizer(text)["input_ids"], stop=stop) == kept


def test_the_end_token_is_not_part_of_the_text(tokenizer: PreTrainedTokenizerBase):
    end_id = tokenizer.eos_token_id
    assert isinstance(end_id, int)
    token_ids = (*tokenizer("7#7")["input_ids"], end_id)
    assert decode(tokenizer, token_ids, stop=()) == "7#7"
