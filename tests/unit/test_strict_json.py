"""The cost of a JSON body depends on its length, not on its shape."""

import json

import pytest

from api.dependencies.body import MAX_JSON_BYTES
from grpo.values.strict_json import MAX_VALUES, ValuesRefused, read_object
from tests.work import lines_run

NUMBERS = "[" + "1," * 99_000 + "1]"
LONG = "n" * 900


def nested(depth: int, inner: str) -> str:
    return f'{{"{LONG}": ' * depth + inner + "}" * depth


def test_a_long_path_above_many_values_is_not_copied_for_each():
    """Regression: a gigabyte of pointers for a body of half a megabyte."""
    deep, flat = nested(60, NUMBERS), nested(1, NUMBERS)
    assert len(deep) < MAX_JSON_BYTES
    work = [lines_run(lambda body=body: read_object(body.encode())) for body in (flat, deep)]
    assert work[1] < 1.1 * work[0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"a": [1] * MAX_VALUES}, "more than 100,000 values"),
        ({"a": [[]] * MAX_VALUES}, "more than 100,000 values"),
        ({"n" * 1001: 1}, "not be longer than 1,000 characters"),
        ({"a": {"n" * 500_000: [1]}}, "not be longer than 1,000 characters"),
    ],
    ids=["numbers", "lists", "a name", "a name inside"],
)
def test_exceeded_limits_are_reported(body: dict[str, object], said: str):
    with pytest.raises(ValuesRefused) as refused:
        read_object(json.dumps(body).encode())
    pointer, detail = refused.value.problems[0]
    assert said in detail
    assert len(pointer) < 100


def test_problems_are_reported_in_document_order():
    with pytest.raises(ValuesRefused) as refused:
        read_object(b'{"a": [NaN, {"b": "\\u0000"}], "c": 1e999, "d": {"e": NaN}}')
    assert [pointer for pointer, _ in refused.value.problems] == ["/a/0", "/a/1/b", "/c", "/d/e"]
