"""OpenAI's graders that call a model become judges, and are shown again as they were sent."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from api.openai.graders import AnyGrader, to_method, to_reward
from grpo.rewards.judge import JudgeReward
from grpo.spec.resolve import resolve

GRADERS: TypeAdapter[Any] = TypeAdapter(AnyGrader)
SCORE = {
    "type": "score_model",
    "name": "judge",
    "model": "o4-mini",
    "input": [
        {"role": "developer", "content": "Score from 1 to 7."},
        {"role": "user", "content": "{{item.question}} {{sample.output_text}}"},
    ],
    "range": [1, 7],
    "sampling_params": {"temperature": 0.5, "max_completions_tokens": 300},
}
LABEL = {
    "type": "label_model",
    "name": "judge",
    "model": "gpt-4.1",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}


def spec_of(grader: dict[str, Any], schema: dict[str, Any] | None = None) -> Any:
    parsed = GRADERS.validate_python(grader)
    return resolve({"rewards": [to_reward(parsed, schema)]}).rewards[0]


def test_a_score_model_is_a_judge_of_openais_api():
    reward = spec_of(SCORE)
    assert isinstance(reward, JudgeReward)
    assert (reward.mode, reward.range, reward.model) == ("score", (1, 7), "o4-mini")
    assert reward.endpoint == "https://api.openai.com/v1/chat/completions"
    assert (reward.api_key, reward.name) == ("OPENAI_API_KEY", "judge")
    assert (reward.temperature, reward.max_tokens) == (0.5, 300)
    assert reward.input is not None
    assert [message.role for message in reward.input] == ["developer", "user"]


def test_a_label_model_is_a_judge_too_and_may_be_another_apis():
    reward = spec_of({**LABEL, "url": "http://judge.internal:8000/v1", "api_key": None})
    assert isinstance(reward, JudgeReward)
    assert (reward.mode, reward.labels, reward.passing_labels) == (
        "label",
        ["good", "bad"],
        ["good"],
    )
    assert (reward.host, reward.api_key) == ("judge.internal:8000", None)


@pytest.mark.parametrize(
    "content",
    [
        "{{sample.output_text}}",
        {"type": "input_text", "text": "{{sample.output_text}}"},
        [
            {"type": "input_text", "text": "{{sample."},
            {"type": "output_text", "text": "output_text}}"},
        ],
    ],
)
def test_a_message_is_a_text_or_its_parts(content: object):
    message = {"type": "message", "role": "user", "content": content}
    reward = spec_of({**LABEL, "input": [message]})
    assert reward.input[0].content == "{{sample.output_text}}"


@pytest.mark.parametrize("grader", [SCORE, LABEL])
@pytest.mark.parametrize("schema", [None, {"type": "object"}])
def test_a_grader_is_shown_as_it_was_sent(grader: dict[str, Any], schema: dict[str, Any] | None):
    reward = spec_of(grader, schema)
    shown = to_method([reward.model_dump(mode="json")])["grader"]
    assert (
        shown.items()
        >= {name: grader[name] for name in grader if name != "sampling_params"}.items()
    )
    assert GRADERS.validate_python(shown).reward() == GRADERS.validate_python(grader).reward()


def test_a_multi_may_have_a_model_whose_range_is_its_score():
    part = {**SCORE, "range": [0, 1]}
    multi = {"type": "multi", "name": "m", "graders": {"a": part}, "calculate_output": "2*a"}
    assert spec_of(multi).remote
    with pytest.raises(ValidationError, match=r"range \[0, 1\] in a multi"):
        GRADERS.validate_python({**multi, "graders": {"a": SCORE}})


@pytest.mark.parametrize(
    "changed",
    [
        {"sampling_params": {"top_p": 0.5}},
        {"sampling_params": {"seed": 1}},
        {"input": []},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        {"range": [0]},
        {"model": None},
    ],
)
def test_settings_that_would_be_ignored_are_refused(changed: dict[str, Any]):
    with pytest.raises(ValidationError):
        GRADERS.validate_python({**SCORE, **changed})


def test_a_pairwise_judge_has_no_equivalent():
    written = {"type": "judge", "url": "https://a.example", "model": "m", "mode": "pairwise"}
    reward = resolve({"rewards": [{**written, "rubric": "r"}]}).rewards[0]
    assert to_method([reward.model_dump(mode="json")]) == {"grader": None}
