"""A model's config.json of any content, read within a limit."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from grpo.estimate.architecture import read_architecture
from grpo.models.model_folder import MAX_CONFIG_BYTES
from grpo.validation.model_config import ModelContext, config_at, config_in, context_of

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                ["text_config", "max_position_embeddings", "rope_scaling", "rope_type", "a"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
LONG = [
    b'{"max_position_embeddings": 9, "a": [' + b"0," * MAX_CONFIG_BYTES + b"0]}",
    b'{"max_position_embeddings": 9}' + b" " * MAX_CONFIG_BYTES,
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"max_position_embeddings": ' + b"9" * 5000 + b"}",
    b"\xff",
    b"",
]


class Counted(io.BytesIO):
    """A file that counts the bytes that are read."""

    num_read = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.num_read += len(found)
        return found


@pytest.mark.parametrize("content", LONG, ids=range(len(LONG)))
def test_a_config_that_is_long_deep_or_invalid_is_unknown_at_little_cost(
    content: bytes, tmp_path: Path
):
    file = Counted(content)
    assert config_in(file) is None
    assert file.num_read <= MAX_CONFIG_BYTES + 1
    (tmp_path / "config.json").write_bytes(content)
    assert config_at(tmp_path) is None


def test_no_folder_is_an_unknown_config(tmp_path: Path):
    assert config_at(tmp_path / "none") is None
    assert config_at(Path("a\0b")) is None


@given(written=JSON)
@settings(max_examples=40, deadline=None)
def test_any_config_states_a_number_or_nothing(written: Any):
    context = context_of(config_in(io.BytesIO(json.dumps(written).encode())))
    assert context.tokens is None or type(context.tokens) is int
    assert context.rope_type is None or type(context.rope_type) is str


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 9}, 9),
        ({"text_config": {"max_position_embeddings": 9}, "max_position_embeddings": 8}, 9),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": 9.0}, None),
        ({"text_config": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_context_is_the_language_models(config: Mapping[str, Any] | None, context: int | None):
    assert context_of(config).tokens == context


@pytest.mark.parametrize("field", ["rope_scaling", "rope_parameters"])
def test_rotations_that_a_larger_context_would_change_are_known(field: str):
    for rope in ({"type": "yarn"}, {"full_attention": {"rope_type": "yarn"}}):
        config = {"max_position_embeddings": 9, field: rope}
        for written in (config, {"text_config": config}):
            assert context_of(written) == ModelContext(9, rope_type="yarn")
    assert context_of({field: {"type": "yarn", "factor": 4.0}}).rope_type is None


@pytest.mark.parametrize("name", ["intermediate_size", "num_key_value_heads", "head_dim"])
@pytest.mark.parametrize("value", ["x" * 1000, [0] * 1000, {"a": 1}])
def test_a_size_that_is_no_number_is_refused_before_it_is_multiplied(name: str, value: object):
    sizes = {"hidden_size": 10**9, "num_hidden_layers": 10**9, "num_attention_heads": 1}
    with pytest.raises((TypeError, ValueError)):
        read_architecture({**sizes, "vocab_size": 9, name: value})
