"""Any answer of a service or a judge is a score or a failure, and never another exception."""

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo.rewards.grading import Failed
from grpo.rewards.reward import Case
from grpo.rewards.service.calls import CallFailed
from grpo.rewards.service.formats import FORMATS, decoded
from grpo.rewards.service.question import question
from grpo.rewards.service.verdict import read_label, read_preference, read_score, verdict_of

ASKED = [question({}, Case("18", 2, "18"))]
KEY = ASKED[0].key
WORDS = ["scores", "score", "key", "id", "error", "body", "aggregate_reward_score", "choices"]
WORDS += ["message", "content", "refusal", "label", "better", KEY]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def is_outcome(found: float | Failed) -> bool:
    return isinstance(found, Failed) or math.isfinite(found)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_any_json_is_an_outcome_in_each_format(name: Any, value: Any):
    for answer in (
        value,
        {"scores": value},
        {"scores": [{"key": KEY, "score": value}]},
        {"scores": [{"key": KEY, "error": value}]},
        [{"id": KEY, "aggregate_reward_score": value}],
        {"body": value},
        {"score": value},
    ):
        try:
            found = FORMATS[name].read(answer, ASKED)
        except CallFailed:
            continue
        assert len(found) == 1
        assert is_outcome(found[0])


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_any_json_is_a_verdict_or_a_failure(value: Any):
    for answer in (
        value,
        {"choices": value},
        {"choices": [{"message": value}]},
        {"choices": [{"message": {"content": json.dumps(value)}}]},
    ):
        try:
            verdict = verdict_of(answer)
        except CallFailed:
            continue
        assert is_outcome(read_score(verdict, (0, 10)))
        assert is_outcome(read_label(verdict, ["a", "b"], ["a"]))
        assert is_outcome(read_preference(verdict))


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=40))
def test_any_bytes_are_json_or_a_failure(body: bytes):
    with suppress(CallFailed):
        json.dumps(decoded(body))
