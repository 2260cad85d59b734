"""regex, format, length, json_schema, text_similarity and math, by values."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from grpo.rewards.catalogue import AnyReward
from grpo.rewards.reward import Case, Reward

REWARD = TypeAdapter[Reward](AnyReward)


def scored(completion: str, answer: str = "", *, num_tokens: int = 1, **settings: Any) -> float:
    return REWARD.validate_python(settings).score(Case(completion, num_tokens, answer))


def refusal(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        REWARD.validate_python(settings)
    return str(caught.value)


def test_a_pattern_that_is_found_is_enough_without_a_capture():
    assert scored("so \\boxed{3}", type="regex", pattern=r"\\boxed\{\d\}") == 1.0
    assert scored("so 3", type="regex", pattern=r"\\boxed\{\d\}") == 0.0


def test_the_last_matchs_capture_is_compared_with_the_answer():
    regex: dict[str, Any] = {"type": "regex", "pattern": r"([a-z])=(\w+ ?)", "capture": 2}
    assert scored("x=1 y=2 ", "2", **regex) == 1.0
    assert scored("x=2 y=1", "2", **regex) == 0.0
    assert scored("", "", **regex) == 0.0  # no match, no capture: not an empty answer
    assert scored("c", "", type="regex", pattern="(b)?c", capture=1) == 0.0


def test_a_wrong_pattern_and_a_group_that_it_lacks_are_refused():
    assert "is not a valid regular expression: unterminated character set" in refusal(
        type="regex", pattern="[a"
    )
    assert "capture 2: the pattern has 1 groups" in refusal(type="regex", pattern="(a)", capture=2)


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ("<think>why</think><answer>3</answer>", 1.0),
        (" <think>a\nb</think>\n\n<answer>3</answer>\n", 1.0),
        ("<think>1 < 2 <b>so</b></think><answer>3</answer>", 1.0),
        ("<answer>3</answer><think>why</think>", 0.0),
        ("<think>why</think>", 0.0),
        ("<think>why</think><answer>3", 0.0),
        ("<think> </think><answer>3</answer>", 0.0),
        ("Well: <think>why</think><answer>3</answer>", 0.0),
        ("<think>why</think> so <answer>3</answer>", 0.0),
        ("<think>why</think><answer>3</answer>.", 0.0),
        ("<think>why</think><answer>3</answer><answer>4</answer>", 0.0),
        ("<think>the <answer> is</think><answer>3</answer>", 0.0),
        ("<think><think>why</think><answer>3</answer>", 0.0),
        ("", 0.0),
    ],
)
def test_format_requires_each_tag_once_in_order_and_nothing_else(completion: str, score: float):
    assert scored(completion, type="format") == score


def test_format_accepts_other_tags_each_once():
    assert scored("<sum>1</sum>", type="format", tags=["sum"]) == 1.0
    assert "tag 'a' is repeated" in refusal(type="format", tags=["a", "b", "a"])
    assert "should match pattern" in refusal(type="format", tags=["a>"])


@pytest.mark.parametrize(
    ("num_tokens", "score"), [(0, 1.0), (100, 1.0), (125, 0.75), (150, 0.5), (200, 0.0), (999, 0.0)]
)
def test_length_falls_in_a_line_between_its_two_bounds(num_tokens: int, score: float):
    bounds: dict[str, Any] = {"target_tokens": 100, "limit_tokens": 200}
    assert scored("", num_tokens=num_tokens, type="length", **bounds) == score


def test_the_bounds_of_length_are_ordered():
    assert "must be above target_tokens 5" in refusal(
        type="length", target_tokens=5, limit_tokens=5
    )


SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ('{"a": 1}', 1.0),
        (' {"a": 1, "b": null}\n', 1.0),
        ('{"a": "1"}', 0.0),
        ("{}", 0.0),
        ('{"a": 1} so', 0.0),
        ('{"a": NaN}', 0.0),
        ("[" * 100_000, 0.0),
        ("", 0.0),
    ],
)
def test_json_schema_is_one_for_json_that_the_schema_allows(completion: str, score: float):
    assert scored(completion, type="json_schema", definition=SCHEMA) == score


def test_json_is_read_after_a_marker():
    marked: dict[str, Any] = {"type": "json_schema", "definition": SCHEMA, "after": "JSON:"}
    assert scored('first JSON: {} then JSON: {"a": 1}', **marked) == 1.0
    assert scored('{"a": 1}', **marked) == 0.0


def test_a_wrong_schema_is_refused_with_the_place_in_it():
    wrong = {"properties": {"a": {"type": "integr"}}}
    assert "at /properties/a/type: 'integr'" in refusal(type="json_schema", definition=wrong)


def test_a_schema_refers_to_nothing_outside_of_itself():
    for outside in ("https://example.org/schema.json", "#/$defs/missing"):
        assert "is not part of it" in refusal(type="json_schema", definition={"$ref": outside})
    inside = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}
    assert scored("3", type="json_schema", definition=inside) == 1.0
    assert scored('"3"', type="json_schema", definition=inside) == 0.0


def test_ratio_is_the_share_of_characters_that_stay():
    # abcd, abcx: the longest common subsequence has 3 of 4 and 4 characters: 2 * 3 / 8.
    assert scored("abcx", "abcd", type="text_similarity") == 0.75
    assert scored("abcd\n", "abcd", type="text_similarity") == 1.0
    assert scored("so # abcd", "abcd", type="text_similarity", after="#") == 1.0
    assert scored("abcd", "abcd", type="text_similarity", after="#") == 0.0


def test_bleu_and_chrf_go_from_0_to_1():
    # Precisions of "the cat sat" in "the cat lay": 2 of 3 words, 1 of 2 pairs, and the smoothed
    # 1 / (2 * 1) of the only triple; same length: their geometric mean.
    bleu = scored("the cat sat", "the cat lay", type="text_similarity", measure="bleu")
    assert bleu == pytest.approx((2 / 3 * 1 / 2 * 1 / 2) ** (1 / 3))
    for measure in ("bleu", "chrf"):
        settings: dict[str, Any] = {"type": "text_similarity", "measure": measure}
        assert scored("the cat sat on it", "the cat sat on it", **settings) == 1.0
        assert scored("", "the cat", **settings) == 0.0


def test_a_threshold_makes_a_similarity_0_or_1():
    near: dict[str, Any] = {"type": "text_similarity", "threshold": 0.75}
    assert scored("abcx", "abcd", **near) == 1.0
    assert scored("abxx", "abcd", **near) == 0.0


@pytest.mark.parametrize(
    ("completion", "answer", "score"),
    [
        ("so it is $0.5$", r"\frac{1}{2}", 1.0),
        (r"\boxed{\frac{2}{4}}", "1/2", 1.0),
        ("the answer is 1/2", r"$\frac12$", 1.0),
        ("$(x+1)^2$", "x^2+2x+1", 1.0),
        ("$x+1$", "x+2", 0.0),
        ("1/2 and then $3$", r"\frac{1}{2}", 0.0),
        ("no idea", "18", 0.0),
        ("", "18", 0.0),
    ],
)
def test_math_compares_values_and_not_their_spelling(completion: str, answer: str, score: float):
    assert scored(completion, answer, type="math") == score


def test_an_answer_without_mathematics_is_an_error_and_not_a_zero():
    with pytest.raises(ValueError, match="has no mathematical content"):
        scored("18", "$$", type="math")


def test_equal_mathematics_is_one_answer():
    math = REWARD.validate_python({"type": "math", "after": "####"})
    halves = ("#### $0.5$", r"#### \boxed{\frac{2}{4}}", "1 #### 1/2")
    assert {math.answer_of(text) for text in halves} == {"1/2"}
    assert math.answer_of("1/2") is None
    assert math.answer_of("#### $2x+1$") == math.answer_of("#### $1+2x$")
