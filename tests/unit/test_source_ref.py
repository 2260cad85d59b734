"""Kinds of sources, read alike by server, worker and trainer."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo.builtin.catalogue import DATASETS, MODELS
from grpo.data.source_ref import Kind, data_ref, is_hub_id, model_ref, unknown_model


@pytest.mark.parametrize(
    ("name", "model", "data"),
    [
        ("tiny-arithmetic", Kind.BUILTIN, Kind.UNKNOWN),
        ("arithmetic", Kind.UNKNOWN, Kind.BUILTIN),
        ("file_0198c0de", Kind.UNKNOWN, Kind.UPLOAD),
        ("ckpt_0198c0de", Kind.CHECKPOINT, Kind.UNKNOWN),
        ("/models/qwen", Kind.PATH, Kind.PATH),
        ("openai/gsm8k", Kind.HUB, Kind.HUB),
        ("Qwen/Qwen3-0.6B", Kind.HUB, Kind.HUB),
        ("rows/train.jsonl", Kind.UNKNOWN, Kind.UNKNOWN),
        ("./models/qwen", Kind.UNKNOWN, Kind.UNKNOWN),
        ("../x/y", Kind.UNKNOWN, Kind.UNKNOWN),
        ("a/b/c", Kind.UNKNOWN, Kind.UNKNOWN),
        ("owner/näme", Kind.UNKNOWN, Kind.UNKNOWN),
        ("owner/name\n", Kind.UNKNOWN, Kind.UNKNOWN),
        ("", Kind.UNKNOWN, Kind.UNKNOWN),
    ],
)
def test_each_name_has_one_kind(name: str, model: Kind, data: Kind):
    assert (model_ref(name).kind, data_ref(name).kind) == (model, data)


@given(st.text(alphabet="ab/._-~ckptfile\n", max_size=12))
def test_a_name_is_a_hub_id_only_where_no_loader_takes_it_for_a_path(name: str):
    for ref in (model_ref(name), data_ref(name)):
        if ref.kind is Kind.HUB:
            assert is_hub_id(name)
            assert re.fullmatch(r"[^/.~\n][^/\n]*/[^/.~\n][^/\n]*", name)
        if ref.kind is Kind.BUILTIN:
            assert name in MODELS or name in DATASETS
        if name.startswith("/"):
            assert ref.kind is Kind.PATH


def test_an_unknown_models_message_distinguishes_a_wrong_id_from_a_wrong_name():
    assert "is not a valid hub id" in unknown_model("./models/qwen")
    assert "the built-in models are tiny-arithmetic" in unknown_model("tiny")
