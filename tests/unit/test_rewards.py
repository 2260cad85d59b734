from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo.rewards.answers.quantity import last_quantity
from grpo.rewards.exact import ExactReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Case, Reward

NUMBER = NumberReward(type="number")
NUMBER_AFTER = NumberReward(type="number", after="####")
EXACT = ExactReward(type="exact")
EXACT_AFTER = ExactReward(type="exact", after="#")


def last_number(text: str) -> Fraction | None:
    found = last_quantity(text)
    return None if found is None else found.value


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


@pytest.mark.parametrize("text", ["", "none", "\x00", "-", ",", ".", "٣", "十"])
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
        # A part of the answer is not the answer.
        ("4", "3/4", 0.0),
        ("0.75", "3/4", 1.0),
        ("it is 3/4", "0.75", 1.0),
        ("2", "12 cm^2", 0.0),
        ("12", "12 cm^2", 1.0),
        ("the area is 12 cm^2", "12", 1.0),
        ("5", "3.2e5", 0.0),
        ("3.2 x 10^5 m/s", "3.2e5", 1.0),
        ("2", "7 1/2", 0.0),
        ("7 1/2 hours", "7.5", 1.0),
        ("7\u00bd", "7 1/2", 1.0),
        ("50%", "1/2", 1.0),
        ("50", "50%", 1.0),
        ("0.5", "50%", 1.0),
        ("0.5%", "0.5", 0.0),
        ("1,250,000 people", "1250000", 1.0),
        (r"1\,250", "1,250", 1.0),
        ("250", "1,250", 0.0),
        ("18.9 dollars", "$18.90", 1.0),
        ("12 m", "12 km", 0.0),
        ("10^-21", "10^-20", 0.0),
        ("1e-21", "1e-20", 0.0),
        (r"\frac{1}{3}", r"0.\overline{3}", 1.0),
        ("on 12/25/2024", "2024", 1.0),
        # An exponent, an index and the base of a power are not numbers of their own.
        (r"\boxed{12\text{ cm}^2}", "12 cm^2", 1.0),
        (r"the area is 12 \text{cm}^{2}.", "12", 1.0),
        (r"the area is 12 \text{cm}^{2}.", "2", 0.0),
        ("so 5 m/s^2", "5 m/s\u00b2", 1.0),
        ("5 kg\u00b7m\u00b2/s\u00b2", "5 kg m^2/s^2", 1.0),
        (r"so 5 mol L^{-1}", "5 mol/L", 1.0),
        ("x_1 = 5 and x_2 = x_1", "5", 1.0),
        ("8 = 2^{13}", "3", 0.0),
        ("8 = 2^{13}", "8", 1.0),
        ("3.2\u00d710\u2075", "320000", 1.0),
        ("320000", "3.2\u00d710\u2075", 1.0),
        ("3.2*10**5", "320000", 1.0),
        ("10\u207b\u00b3", "0.001", 1.0),
        # A factor written as a word belongs to the number.
        ("1500000", "1.5 million", 1.0),
        ("1.5", "1.5 million", 0.0),
        ("1.5 billion", "1.5 million", 0.0),
        ("so $1.5 million dollars", "1500000", 1.0),
        ("1.5 million people", "1.5", 1.0),
        ("24 eggs", "2 dozen", 1.0),
        ("3\u4e07", "30000", 1.0),
        ("3", "3\u4e07", 0.0),
        ("18", "18\u5143", 1.0),
        # Signs that are typed as a dash or apart from their number.
        ("x = \u20135", "-5", 1.0),
        ("x = - 5", "-5", 1.0),
        ("pages 3\u20135", "5", 1.0),
        (r"\frac{3}{-4}", "-0.75", 1.0),
        ("1/3", "0.333333", 1.0),
        ("0.333333", "1/3", 1.0),
        ("5", r"\boxed{5}", 1.0),
        ("1/3", "0.333...", 1.0),
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


def test_number_can_be_searched_only_after_a_marker():
    assert scored(NUMBER_AFTER, "9*2=18 #### 18", "18") == 1.0
    assert scored(NUMBER_AFTER, "#### 17 #### 18", "18") == 1.0
    assert scored(NUMBER_AFTER, "it is 18", "18") == 0.0
    assert scored(NUMBER_AFTER, "18 ####", "18") == 0.0


def test_an_answer_without_a_number_is_an_error_and_not_a_zero():
    with pytest.raises(ValueError, match="the answer 'many' contains no number"):
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


@pytest.mark.parametrize(
    "answer",
    ["3 apples and 4 pears", "5 or 7", "3x", "1/0", "3:30", "see page 12", "1, 2, 3", "10^999999"],
)
def test_an_answer_that_is_not_one_number_is_an_error(answer: str):
    with pytest.raises(ValueError, match=r"contains no number|is not a single number"):
        scored(NUMBER, answer, answer)
    with pytest.raises(ValueError, match=r"contains no number|is not a single number"):
        NUMBER.check_answer(Case("", 0, answer))


def test_an_answer_may_have_the_marker_that_completions_have():
    assert scored(NUMBER_AFTER, "#### 18", "9 * 2 = 18 #### 18") == 1.0


NUMBERS = st.one_of(
    st.integers().map(str),
    st.integers(min_value=0).map(lambda number: f"{number:,}"),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.fractions().map(str),
    st.tuples(st.integers(1, 999), st.integers(1, 99), st.integers(1, 99)).map(
        lambda parts: "{} {}/{}".format(*parts)
    ),
)
BEFORE = st.sampled_from(["", "", "$", "-", "\u20ac", r"\$"])
BEHIND = st.sampled_from(
    ["", "", "%", " percent", " cm^2", " m/s", " apples", " hours", "\u00b0", "."]
)


@given(st.builds("{}{}{}".format, BEFORE, NUMBERS, BEHIND))
def test_a_number_as_people_write_it_is_read_whole_and_equals_itself(answer: str):
    answer = answer.replace("--", "-")
    assert scored(NUMBER, answer, answer) == 1.0
    assert scored(NUMBER, f"So it is\n{answer}", answer) == 1.0
