"""At submission every row of a file is checked by its rewards."""

import json
from typing import Any

import httpx
import pytest

from tests.service.api.test_files import upload


def submitted(http: httpx.Client, answers: list[Any], reward: str, **data: Any) -> httpx.Response:
    rows = [{"question": f"{n}=", "answer": answer} for n, answer in enumerate(answers)]
    file = upload(http, "\n".join(map(json.dumps, rows)).encode()).json()["id"]
    spec = {"data": {"train": file, **data}, "rewards": [{"type": reward}]}
    return http.post("/v1/jobs", json=spec)


@pytest.mark.parametrize("reward", ["number", "math"])
@pytest.mark.parametrize("bad", [None, "n/a"])
def test_many_unusable_answers_are_refused_and_a_few_are_not(
    http: httpx.Client, reward: str, bad: str | None
):
    many = submitted(http, [1, bad, bad, 4], reward)
    assert many.status_code == 422, many.text
    [error] = many.json()["errors"]
    assert error["pointer"] == "/data/answer"
    assert "2 of 4 rows cannot be used (data.unusable): line 2" in error["detail"]
    few = [*range(150), bad]
    assert submitted(http, few, reward).status_code == 201
    assert submitted(http, few, reward, unusable="refuse").status_code == 422
    assert submitted(http, [1, bad], reward, unusable="skip").status_code == 201
