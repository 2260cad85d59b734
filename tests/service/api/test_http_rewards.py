"""Rewards that call a service, by the API: tried, checked, never called by a validation."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from store.database.database import Database
from store.settings import Settings
from tests.reward_service import SECRET, Asked, Reply, reward_service, scored, signed
from tests.service.api.conftest import client, make_key, serving

KEY = urlsafe_b64encode(b"k" * 32).decode()


@pytest.fixture
def http(settings: Settings, database: Database) -> Iterator[httpx.Client]:
    open_to_us = settings.model_copy(update={"secrets_key": KEY, "reward_hosts": "127.0.0.1"})
    with (
        serving(open_to_us) as url,
        client(url, make_key(database, "ours", "read", "submit", "admin")) as opened,
    ):
        yield opened


def tried(http: httpx.Client, reward: dict[str, Any], *completions: dict[str, Any]) -> Any:
    sent = {"rewards": [reward], "completions": list(completions)}
    return http.post("/v1/rewards/try", json=sent)


def test_a_service_is_tried_with_the_projects_secret(http: httpx.Client):
    http.put("/v1/secrets/GRADER", json={"value": SECRET}).raise_for_status()

    def answering(asked: Asked) -> Reply:
        return signed(
            asked, scored(asked, lambda item: float(item["completion"] == item["answer"]))
        )

    with reward_service(answering) as service:
        reward = {"type": "http", "url": service.url, "secret": "GRADER"}
        prompt = {"messages": [{"role": "user", "content": "9*2="}], "answer": "18"}
        row = {"item": {"a": 9}}
        answer = tried(http, reward, {"completion": "18", **prompt, **row}, {"completion": "17"})
    assert answer.status_code == 200, answer.text
    found = [each["parts"][0] for each in answer.json()["completions"]]
    assert [(part["score"], part["error"]) for part in found] == [(1, None), (0, None)]
    (asked,) = service.asked
    assert asked.items[0]["messages"] == prompt["messages"]
    assert asked.items[0]["row"] == {"a": 9}
    assert (asked.json["data"]["job"], asked.json["data"]["step"]) == (None, None)
    assert SECRET not in answer.text


def test_a_service_in_a_multi_and_one_that_fails_are_tried(http: httpx.Client):
    def answering(asked: Asked) -> Reply:
        return scored(asked, lambda item: 0.5 if item["completion"] == "18" else "prose")

    with reward_service(answering) as service:
        part = {"type": "http", "url": service.url, "name": "judged"}
        formula = {"type": "multi", "rewards": [part, {"type": "exact"}]}
        reward = {**formula, "calculate_output": "judged + exact"}
        answer = tried(http, reward, {"completion": "18", "answer": "18"}, {"completion": "1"})
    one, two = [each["parts"][0] for each in answer.json()["completions"]]
    assert one["score"] == 1.5
    assert two["error"] == 'judged: its score is not a number: "prose"'


def test_a_service_that_hangs_takes_its_share_of_a_trial(http: httpx.Client):
    slow = Reply(chunks=[b" "] * 200, seconds_between=0.1)
    with reward_service(lambda _: slow) as service:
        reward = {"type": "http", "url": service.url, "seconds": 0.3, "tries": 1}
        (tried_one,) = tried(http, reward, {"completion": "18"}).json()["completions"]
    assert "no complete answer within 0.3 s" in tried_one["parts"][0]["error"]


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://127.0.0.2:8000/", "http://[::1]:80/"])
def test_an_internal_address_is_refused_with_its_field(http: httpx.Client, url: str):
    reward = {"type": "http", "url": url}
    for answer in (
        tried(http, reward, {"completion": "18"}),
        http.post("/v1/jobs?validate_only=true", json={"rewards": [reward]}),
        http.post("/v1/jobs", json={"rewards": [reward]}),
    ):
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/rewards/0/url"
        assert "DUET_REWARD_HOSTS" in error["detail"]


def test_a_secret_that_is_not_there_is_refused_with_its_field(http: httpx.Client):
    part = {"type": "http", "url": "https://a.example/", "secret": "ABSENT"}
    reward = {"type": "multi", "rewards": [part], "calculate_output": "http"}
    for answer in (
        tried(http, reward, {"completion": "18"}),
        http.post("/v1/jobs", json={"rewards": [reward]}),
    ):
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/rewards/0/rewards/0/secret"
        assert "duet secrets set ABSENT" in error["detail"]


def test_a_validation_calls_no_service(http: httpx.Client):
    with reward_service(lambda asked: scored(asked, lambda _: 1)) as service:
        reward = {"type": "http", "url": service.url}
        both = {"rewards": [reward, {"type": "number"}]}
        answer = http.post("/v1/jobs?validate_only=true", json=both).json()["preflight"]
        assert [each["reward"] for each in answer["rewards"]] == ["number"]
        assert answer["left_out"] == ["http"]
        alone = http.post("/v1/jobs?validate_only=true", json={"rewards": [reward]}).json()
        assert "duet rewards try" in alone["preflight"]["not_tried"]
    assert service.asked == []


def judge(url: str) -> dict[str, Any]:
    written = {"type": "judge", "url": url, "model": "m", "rubric": "r", "api_key": "JUDGE_KEY"}
    return {**written, "mode": "pairwise"}


def test_a_pairwise_judge_is_tried_on_the_completions_of_one_prompt(http: httpx.Client):
    def answering(asked: Asked) -> Reply:
        assert asked.headers["authorization"] == "Bearer sk-canary"
        text = asked.json["messages"][-1]["content"]
        better = "A" if "<answer_A>\n18" in text else "B"
        content = json.dumps({"reasoning": "", "better": better})
        return Reply({"choices": [{"message": {"content": content}}]})

    with reward_service(answering) as service:
        host = f"127.0.0.1:{service.port}"
        key = {"value": "sk-canary", "host": host}
        shown = http.put("/v1/secrets/JUDGE_KEY", json=key).json()
        assert (shown["host"], "sk-canary" in str(shown)) == (host, False)
        answer = tried(http, judge(service.url), {"completion": "17"}, {"completion": "18"})
    assert [each["total"] for each in answer.json()["completions"]] == [0, 1]


@pytest.mark.parametrize("host", [None, "127.0.0.1", "127.0.0.1:1024"])
def test_a_key_is_not_sent_to_a_host_or_port_that_no_admin_has_named(
    http: httpx.Client, host: str | None
):
    key = {"value": "sk-canary", "host": host}
    http.put("/v1/secrets/JUDGE_KEY", json=key).raise_for_status()
    with reward_service(lambda _: Reply()) as service:
        for answer in (
            tried(http, judge(service.url), {"completion": "18"}),
            http.post("/v1/jobs", json={"rewards": [judge(service.url)]}),
        ):
            assert answer.status_code == 422, answer.text
            (error,) = answer.json()["errors"]
            assert error["pointer"] == "/rewards/0/api_key"
            assert f"duet secrets set JUDGE_KEY --host 127.0.0.1:{service.port}" in error["detail"]
    assert service.asked == []


@pytest.mark.parametrize("host", ["https://a.example", "a.example/path", "a b", "", "u@a.example"])
def test_a_secrets_host_is_a_host_alone(http: httpx.Client, host: str):
    answer = http.put("/v1/secrets/JUDGE_KEY", json={"value": "x", "host": host})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/host"
