from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo.rewards.exact import ExactReward
from grpo.rewards.number import NumberReward, last_number
from grpo.rewards.reward import Case, Reward

NUMBER = NumberReward(type="number")
NUMBER_AFTER = NumberReward(type="number", after="####")
EXACT = ExactReward(type="exact")
EXACT_AFTER = ExactReward(type="exact", after="#")


def scored(reward: Reward, completion: str, answer: str) -> float:
    return reward.score(Case(completion, len(completion), answer))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so it is 18", "18"),
        ("18.", "18"),  # the end of a sentence is no decimal point
        ("18.50 dollars", "18.5"),
        ("costs $1,234,567.25", "1234567.25"),
        ("1,2,3", "3"),  # a list, not thousands
        ("1,2345", "2345"),
        ("1234,567", "567"),
        ("x = -9", "-9"),
        ("x = \u22129", "-9"),
        ("12-9", "9"),  # an operator, not a sign
        ("f(2)-9", "9"),
        ("+7", "7"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("9" * 5000, "9" * 5000),
        ("0" * 5000 + "7", "7"),
        ("\x0042\x00", "42"),
        ("\ud80042\udfff", "42"),
    ],
)
def test_the_last_number_of_a_text_is_read_exactly(text: str, number: str):
    assert last_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "none", "\x00", "-", ",", ".", "½", "٣", "十"])
def test_a_text_without_ascii_digits_holds_no_number(text: str):
    assert last_number(text) is None


@given(st.text(alphabet="0123456789,.-+ a", max_size=60))
def test_any_text_is_read_without_an_error(text: str):
    found = last_number(text)
    assert (found is None) == (not any(character.isdigit() for character in text))


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_thousands_separators_change_nothing(number: int):
    assert last_number(f"it is {number:,}") == number


@pytest.mark.parametrize(
    ("completion", "answer", "reward"),
    [
        ("16 - 3 - 4 = 9 and 9 * 2 = 18", "18", 1.0),
        ("18.0", "18", 1.0),
        ("1,000", "1000", 1.0),
        ("19", "18", 0.0),
        ("18, or was it 20", "18", 0.0),
        ("-18", "18", 0.0),
        ("", "18", 0.0),
        # Beyond what a binary float tells apart.
        ("100000000000000000000000000001", "100000000000000000000000000000", 0.0),
    ],
)
def test_number_is_one_when_the_last_number_is_the_answers(
    completion: str, answer: str, reward: float
):
    assert scored(NUMBER, completion, answer) == reward


def test_number_can_be_looked_for_behind_a_marker_only():
    assert scored(NUMBER_AFTER, "9*2=18 #### 18", "18") == 1.0
    assert scored(NUMBER_AFTER, "#### 17 #### 18", "18") == 1.0
    assert scored(NUMBER_AFTER, "it is 18", "18") == 0.0
    assert scored(NUMBER_AFTER, "18 ####", "18") == 0.0


def test_an_answer_without_a_number_is_an_error_and_not_a_zero():
    with pytest.raises(ValueError, match="the answer 'many' holds no number"):
        scored(NUMBER, "18", "many")


def test_exact_compares_the_whole_completion_but_for_the_space_around_it():
    assert scored(EXACT, " yes\n", "yes") == 1.0
    assert scored(EXACT, "yes, yes", "yes") == 0.0
    assert scored(EXACT, "Yes", "yes") == 0.0
    assert scored(EXACT, "yes\x00", "yes") == 0.0


def test_exact_compares_what_follows_the_last_marker():
    assert scored(EXACT_AFTER, "7+5=12;12+9=21#21", "21") == 1.0
    assert scored(EXACT_AFTER, "#20#21", "21") == 1.0
    assert scored(EXACT_AFTER, "21", "21") == 0.0
    assert scored(EXACT_AFTER, "#21#", "21") == 0.0


def test_a_completion_without_the_marker_is_wrong_even_where_the_answer_is_empty():
    assert scored(EXACT_AFTER, "", "") == 0.0
    assert scored(EXACT_AFTER, "#", "") == 1.0


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("it is 18.0", "18"),
        ("18.50", "18.5"),
        ("1,000", "1000"),
        ("007", "7"),
        ("-0.0", "0"),
        (".5", "0.5"),
        ("100000000000000000000000000001.0", "100000000000000000000000000001"),
        ("none", None),
    ],
)
def test_numbers_that_are_equal_are_one_answer(completion: str, answer: str | None):
    assert NUMBER.answer_of(completion) == answer


def test_the_answer_of_exact_is_what_it_compares():
    assert EXACT.answer_of(" yes\n") == "yes"
    assert EXACT_AFTER.answer_of("#20#21 ") == "21"
    assert EXACT_AFTER.answer_of("21") is None
