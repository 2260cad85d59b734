"""Graders by OpenAI's own client, against a live server."""

from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.service.api.openai_calls import CHAT, ROWS, STRING_CHECK, create, spec_of, upload


def test_chat_rows_and_a_multi_grader(theirs: OpenAI, http: httpx.Client):
    truth = {**STRING_CHECK, "reference": "{{item.truth}}", "operation": "like"}
    close = {
        "type": "text_similarity",
        "name": "close",
        "input": "{{sample.output_text}}",
        "reference": "{{item.truth}}",
        "evaluation_metric": "fuzzy_match",
    }
    multi = {
        "type": "multi",
        "name": "both",
        "graders": {"right": truth, "close": close},
        "calculate_output": "0.9*right + 0.1*close",
    }
    job = create(theirs, upload(theirs, CHAT), multi)
    spec = spec_of(http, job.id)
    assert spec["data"]["messages"] == "messages"
    assert spec["data"]["answer"] == "{{truth}}"
    (reward,) = spec["rewards"]
    assert [part["name"] for part in reward["rewards"]] == ["right", "close"]
    told = job.method.reinforcement.grader.to_dict()
    assert told["calculate_output"] == "0.9*right + 0.1*close"
    assert told["graders"]["close"] == close


@pytest.mark.parametrize(
    ("grader", "said"),
    [
        ({**STRING_CHECK, "reference": "{{item.nothing"}, None),
        ({**STRING_CHECK, "reference": "{{answer}}"}, "unknown name 'answer'"),
        (
            {
                "type": "score_model",
                "name": "judge",
                "model": "o3",
                "input": [{"role": "user", "content": "{{sample.output_text}}"}],
            },
            "the project has no secret OPENAI_API_KEY",
        ),
        (
            {"type": "python", "name": "own", "source": "def grade(sample, item): return 1"},
            "Python rewards are disabled",
        ),
    ],
)
def test_graders_that_cannot_be_used_are_refused(
    theirs: OpenAI, grader: dict[str, Any], said: str | None
):
    file = upload(theirs, ROWS)
    if said is None:  # an unfinished template is text
        assert create(theirs, file, grader).status == "queued"
        return
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        create(theirs, file, grader)
    assert str(caught.value.param).startswith("method.reinforcement.grader")


def test_a_grader_is_tried(theirs: OpenAI):
    graders = theirs.fine_tuning.alpha.graders
    city = {**STRING_CHECK, "reference": "{{item.place.city}}", "operation": "ilike"}
    multi = {
        "type": "multi",
        "name": "both",
        "graders": {"a": STRING_CHECK, "b": city},
        "calculate_output": "a + 0.5 * b",
    }
    item = {"answer": "Rome", "place": {"city": "ROME"}}
    run = graders.run(grader=multi, model_sample="in Rome", item=item)  # pyright: ignore
    assert run.reward == 0.5
    assert run.sub_rewards == {"a": 0.0, "b": 1.0}
    assert not run.metadata.errors.other_error
    lacking = graders.run(grader=city, model_sample="Rome", item={})  # pyright: ignore
    assert (lacking.reward, lacking.metadata.errors.other_error) == (0.0, True)
    close = {
        "type": "text_similarity",
        "name": "close",
        "input": "{{sample.output_text}}",
        "reference": "{{item.answer}}",
        "evaluation_metric": "fuzzy_match",
    }
    run = graders.run(grader=close, model_sample="Roma", item=item)  # pyright: ignore
    assert (run.reward, run.metadata.execution_time > 0) == (0.75, True)  # 3 + 3 of 4 + 4
    code = {"type": "python", "name": "mine", "source": "def grade(sample, item): return 1"}
    with pytest.raises(openai.BadRequestError, match="DUET_ALLOW_PYTHON_REWARDS"):
        graders.run(grader=code, model_sample="Roma", item=item)  # pyright: ignore
    assert graders.validate(grader=city).grader.to_dict() == city  # pyright: ignore
    with pytest.raises(openai.BadRequestError, match="'c'"):
        graders.validate(grader={**multi, "calculate_output": "c"})  # pyright: ignore
