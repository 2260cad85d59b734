"""`math` on pairs of answer and completion, and on every answer against itself."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grpo.rewards.answers.final_answer import boxed, stated_answers
from grpo.rewards.answers.last_formula import last_formulas
from grpo.rewards.answers.quantity import last_quantity
from grpo.rewards.answers.reading import read_gold
from grpo.rewards.answers.spelling import key_of
from grpo.rewards.math import MathReward
from grpo.rewards.reward import Case

MATH = MathReward(type="math")
PAIRS = [
    json.loads(line)
    for line in Path(__file__).with_name("math_pairs.jsonl").read_text("utf-8").splitlines()
]
QUICK = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    max_examples=60,
)


def scored(completion: str, answer: str) -> float:
    return MATH.score(Case(completion, 1, answer))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair['answer']} / {pair['completion']}")
def test_a_completion_gets_the_expected_score(pair: dict[str, str]):
    assert scored(pair["completion"], pair["answer"]) == pair["expected"]


@pytest.mark.parametrize("answer", sorted({pair["answer"] for pair in PAIRS}))
def test_each_of_these_answers_equals_itself_in_every_form(answer: str):
    for completion in (
        answer,
        f"\\boxed{{{answer}}}",
        f"${answer}$",
        f"Let us see. $x=3$, so the answer is \\boxed{{{answer}}}.",
        f"I first got \\boxed{{1234567}}, which is wrong. It is \\boxed{{{answer}}}.",
        f"<think>The answer is 1234567.</think><answer>{answer}</answer>",
    ):
        assert scored(completion, answer) == 1.0, completion


ATOMS = st.one_of(
    st.integers(-999, 9999).map(str),
    st.decimals(0, 100, places=3, allow_nan=False).map(str),
    st.sampled_from(
        ["x", "y", r"\pi", r"\sqrt{2}", r"\sqrt{x}", r"\text{cm}", r"\infty", "e", "n"]
    ),
)
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(r"\frac{{{}}}{{{}}}".format, inner, inner),
        st.builds("{} + {}".format, inner, inner),
        st.builds("{}^{{{}}}".format, inner, inner),
        st.builds("({}, {})".format, inner, inner),
        st.builds(r"\left[{}, {}\right)".format, inner, inner),
        st.builds(r"{}\,{}".format, inner, inner),
        st.builds("x = {}".format, inner),
    ),
    max_leaves=4,
)


@QUICK
@given(FORMULAS)
def test_any_formula_equals_itself(answer: str):
    try:
        read_gold(answer)
    except ValueError:
        assume(False)
    assert scored(answer, answer) == 1.0
    assert scored(f"\\boxed{{{answer}}}", answer) == 1.0


@QUICK
@given(st.text(st.characters(exclude_characters="{}\\"), max_size=40))
def test_any_text_that_is_taken_as_an_answer_equals_itself(answer: str):
    try:
        read_gold(answer)
    except ValueError:
        assume(False)
    assert scored(answer, answer) == 1.0
    assert scored(f"\\boxed{{{answer}}}", answer) == 1.0


@pytest.mark.parametrize(
    "answer", ["n/a", "N/A", "", " ", "$$", "null", "NaN", "see page 12 there"]
)
def test_an_answer_that_cannot_be_read_is_an_error(answer: str):
    with pytest.raises(ValueError, match="has no mathematical content"):
        MATH.check_answer(Case("", 0, answer))


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{1}, \boxed{2} and \boxed{3}", "1,2,3"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\fbox{5}", "5"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed {\{1\}}", r"\{1\}"),
        (r"\boxed{5", "5"),
        (r"\boxed", None),
        ("none", None),
    ],
)
def test_the_last_box_counts(text: str, last: str | None):
    assert boxed(text) == last


def test_a_final_answer_after_the_box_replaces_it():
    assert stated_answers(r"\boxed{7}? No. The final answer is 12.")[0].startswith("12")
    assert stated_answers(r"The final answer is \boxed{7}.") == ["7"]


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "\\boxed{",
            "\\boxed{1} ",
            "\\text{",
            "{",
            "<answer>",
            "answer is ",
            "**Answer**: ",
            "\\sqrt(",
        ),
        *(
            "1,",
            "1^",
            "^{-",
            "10**",
            "0.33",
            "1 2/",
            "$1 ",
            "a ",
            "- ",
            " ",
            "x",
            "\\[",
            "\u221a(",
            "\u2070",
        ),
    ],
)
def test_a_hostile_completion_is_read_in_time_linear_in_its_length(piece: str):
    text = piece * (40_000 // len(piece))
    started = time.process_time()
    stated_answers(text)
    boxed(text)
    list(last_formulas(text))
    last_quantity(text)
    key_of(text)
    assert time.process_time() - started < 2  # a quadratic pattern takes minutes
