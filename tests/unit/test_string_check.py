"""string_check, and templates over a completion and its row, by values."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from grpo.rewards.catalogue import AnyReward
from grpo.rewards.reward import Case, Reward
from grpo.rewards.template import fill

ADAPTER: TypeAdapter[Reward] = TypeAdapter(AnyReward)


def case(text: str, **fields: object) -> Case:
    return Case(text=text, num_tokens=1, answer="unused", fields=fields)


def checked(text: str, operation: str, **fields: object) -> float:
    reward = ADAPTER.validate_python({"type": "string_check", "operation": operation})
    return reward.score(case(text, **fields))


@pytest.mark.parametrize(
    ("text", "operation", "answer", "score"),
    [
        ("Paris", "eq", "Paris", 1),
        ("Paris", "eq", "paris", 0),
        ("Paris ", "eq", "Paris", 0),
        ("Paris", "ne", "Rome", 1),
        ("Paris", "ne", "Paris", 0),
        ("in Paris, France", "like", "Paris", 1),
        ("in Paris, France", "like", "paris", 0),
        ("in PARIS", "ilike", "paris", 1),
        ("die Straße", "ilike", "STRASSE", 1),
        ("Par", "ilike", "paris", 0),
    ],
)
def test_operations(text: str, operation: str, answer: str, score: int):
    assert checked(text, operation, answer=answer) == score


def test_templates_name_the_completion_the_row_and_its_members():
    row: dict[str, Any] = {"n": 7, "place": {"city": "Rome", "tags": ["a", "ü"]}, "a.b": "dotted"}
    given = case("said", **row)
    assert fill("{{ sample.output_text }}|{{item.n}}|{{item.place.city}}", given) == "said|7|Rome"
    assert fill("{{item.place.tags}} {{item.a.b}} {x}", given) == '["a", "ü"] dotted {x}'
    # What a completion says is no template itself.
    assert fill("{{sample.output_text}}", case("{{item.n}}", n=1)) == "{{item.n}}"


def test_a_template_does_not_multiply_a_text_without_end():
    times_450, mega = "{{sample.output_text}}" * 450, case("x" * 1_000_000)
    with pytest.raises(ValueError, match="longer than 4,000,000 characters"):
        fill(times_450, mega)
    assert len(fill(times_450, case("x" * 8_000))) == 3_600_000


@pytest.mark.parametrize("path", ["nothing", "place.street", "n.more"])
def test_a_field_that_is_not_there_has_no_text(path: str):
    with pytest.raises(ValueError, match=f"the row has no field '{path}'"):
        fill(f"{{{{item.{path}}}}}", case("", place={}, n=1))


@pytest.mark.parametrize("name", ["answer", "sample.output_json", "item.", "items.x"])
def test_a_template_with_another_name_is_refused(name: str):
    with pytest.raises(ValidationError, match=f"unknown name '{name}'"):
        ADAPTER.validate_python({"type": "string_check", "reference": f"{{{{{name}}}}}"})


def test_text_similarity_compares_its_filled_templates():
    reward = ADAPTER.validate_python(
        {
            "type": "text_similarity",
            "input": "<{{sample.output_text}}>",
            "reference": "{{item.said}}",
        }
    )
    assert reward.score(case("abcd", said="<abcd>")) == 1.0
    assert reward.score(case("abcd", said="<abce>")) == pytest.approx(10 / 12)  # 5 of 6, twice
