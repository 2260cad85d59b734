"""Templates are read in linear time, and fill to a bounded length."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo.data.rows import Row, RowError, render
from grpo.rewards.reward import Case
from grpo.rewards.template import fill
from grpo.values.template import MAX_FILLED, Field, field_names, filled, pieces
from tests.work import lines_run

AS_A_PATTERN = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")

CHARACTERS = 12_000
NASTY = {
    "an open field of spaces": "{{" + " " * CHARACTERS,
    "an open field of newlines": "{{a" + "\n" * CHARACTERS,
    "open braces": "{" * CHARACTERS,
    "closed braces": "}" * CHARACTERS,
    "pairs that open": "{{ " * (CHARACTERS // 3),
    "pairs that close": " }}" * (CHARACTERS // 3),
    "fields that are none": "{{a}b}}" * (CHARACTERS // 7),
    "empty fields": "{{}}" * (CHARACTERS // 4),
    "one brace and a close": "{" + "a}}" * (CHARACTERS // 3),
    "open braces, then one close": "{" * CHARACTERS + "}}",
}


@pytest.mark.parametrize("template", NASTY.values(), ids=NASTY.keys())
def test_work_grows_as_the_template_does(template: str):
    half = template[: len(template) // 2]
    assert lines_run(lambda: pieces(template)) <= 2 * lines_run(lambda: pieces(half)) + 100
    assert lines_run(lambda: pieces(template)) <= 7 * CHARACTERS


@given(st.text(alphabet="{} ab\n", max_size=30))
def test_fields_are_those_of_the_pattern(template: str):
    assert field_names(template) == tuple(dict.fromkeys(AS_A_PATTERN.findall(template)))
    assert filled(template, lambda name: f"<{name}>") == AS_A_PATTERN.sub(r"<\1>", template)


@pytest.mark.parametrize("template", NASTY.values(), ids=NASTY.keys())
def test_the_largest_template_takes_no_time(template: str):
    began = time.process_time()
    pieces(template * 80)
    assert time.process_time() - began < 2


def test_pieces_are_texts_and_fields():
    assert pieces("a {{ b c }}{{d}} {e}}") == ["a ", Field("b c"), Field("d"), " {e}}"]


def test_a_template_that_becomes_too_long_is_refused_before_it_is():
    long = "x" * (MAX_FILLED // 10)
    many = "{{a}}" * 2000
    with pytest.raises(RowError, match=r"line 3: .* longer than 4,000,000 characters"):
        render(many, Row(3, {"a": long}))
    with pytest.raises(ValueError, match="longer than"):
        fill("{{item.a}}" * 1000, Case("", 0, "", {"a": long}))
