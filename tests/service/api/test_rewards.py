"""Trials of rewards before submission: alone, and with a validated spec."""

import multiprocessing
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from store.database.database import Database
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving
from tests.service.api.test_files import lines, upload
from tests.service.api.test_submission import validated
from tests.waiting import wait_until

IDLE_SECONDS = 0.3
RIGHT = {"type": "python", "source": "def grade(sample, item): return sample['num_tokens'] / 8"}


def tried(http: httpx.Client, rewards: list[dict[str, Any]], *completions: dict) -> httpx.Response:
    return http.post("/v1/rewards/try", json={"rewards": rewards, "completions": completions})


@pytest.fixture
def python_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow_python_rewards": True})


def test_completions_are_scored_by_part(python_settings: Settings, key: str):
    rewards = [
        {"type": "number", "after": "####", "weight": 2.0},
        {"type": "math"},
        {"type": "text_similarity", "input": "{{item.city}}", "reference": "Rom"},
        RIGHT,
    ]
    sent = {"completion": "so\n#### 1,000.0", "answer": "1000", "item": {"city": "Rome"}}
    before = set(multiprocessing.active_children())  # of servers that other tests share
    with serving(python_settings) as url, client(url, key) as http:
        answer = tried(http, rewards, {**sent, "num_tokens": 4}, {"completion": "x" * 9})
    first, second = answer.json()["completions"]
    scores = {part["reward"]: part["score"] for part in first["parts"]}
    # Of 4 + 3 characters 3 + 3 are matched; 2 * 1 + 1 + 6 / 7 + 4 / 8.
    close = pytest.approx(6 / 7)
    assert scores == {"number": 1, "math": 1, "text_similarity": close, "python": 0.5}
    assert first["total"] == pytest.approx(3.5 + 6 / 7)
    assert all(part["seconds"] >= 0 and part["error"] is None for part in first["parts"])
    number, _, _, code = second["parts"]
    assert (number["score"], number["error"]) == (None, "the answer '' contains no number")
    assert code["score"] == 3 / 8  # nine characters are taken for three tokens
    assert second["total"] is None
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"rewards": [], "completions": [{"completion": ""}]}, "/rewards", "empty"),
        ({"rewards": [{"type": "exact"}], "completions": []}, "/completions", "empty"),
        ({"rewards": [{"type": "maths"}], "completions": [{"completion": ""}]},
         "/rewards/0/type", "maths"),
        ({"rewards": [{"type": "exact", "aftr": "#"}], "completions": [{"completion": ""}]},
         "/rewards/0/aftr", "unknown field"),
        ({"rewards": [{"type": "exact"}], "completions": [{"text": ""}]},
         "/completions/0/completion", "required"),
        ({"rewards": [RIGHT], "completions": [{"completion": ""}]},
         "/rewards/0/type", "DUET_ALLOW_PYTHON_REWARDS"),
    ],
)  # fmt: skip
def test_rewards_that_cannot_be_tried_are_named_by_pointer(
    http: httpx.Client, body: dict[str, Any], pointer: str, said: str
):
    answer = http.post("/v1/rewards/try", json=body)
    assert answer.status_code == 422
    details = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert said in details[pointer]


def test_trying_needs_a_key_that_may_submit(reading_http: httpx.Client):
    answer = tried(reading_http, [{"type": "exact"}], {"completion": ""})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_validating_tries_the_rewards_on_rows_of_the_data(http: httpx.Client):
    rows = [{"problem": f"{n}+1=", "solution": f"think ... #### {n + 1}"} for n in range(20)]
    file = upload(http, lines(*rows)).json()["id"]
    spec = {
        "data": {"train": file, "prompt": "{{problem}}", "answer": "{{solution}}"},
        "rewards": [
            {"type": "number", "after": "####"},
            {"type": "exact", "after": "####", "weight": 0.5},
            {"type": "regex", "pattern": "####"},
        ],
        "rollout": {"max_tokens": 8},
    }
    found = validated(http, spec)["preflight"]
    assert (found["num_rows"], found["not_tried"]) == (8, None)
    number, exact, pattern = found["rewards"]
    # The whole solution is taken for the answer; the number in it is the right one all the same.
    assert number["right"]["completion"] == "#### think ... #### 1"
    assert (number["right"]["scores"], number["wrong"]["scores"]) == ([1.0] * 8, [0.0] * 8)
    assert number["empty"]["scores"] == number["huge"]["scores"] == [0.0] * 8
    assert (number["right_by"], number["warnings"]) == ("number", [])
    # What follows the last marker is the number alone, which the whole solution is not.
    assert exact["right"]["scores"] == [0.0] * 8
    (said,) = exact["warnings"]
    assert said.startswith("it cannot tell right from wrong: '#### think ... #### 1' scores 0")
    assert (pattern["right_by"], pattern["right"], pattern["warnings"]) == (None, None, [])
    assert http.get("/v1/jobs").json()["data"] == []
    mended = validated(http, {**spec, "data": {**spec["data"], "answer_after": "####"}})
    assert mended["preflight"]["rewards"][1]["right"]["completion"] == "#### 1"
    assert mended["preflight"]["rewards"][1]["warnings"] == []


def test_rows_that_the_server_does_not_know_are_not_made_up(http: httpx.Client):
    data = {"train": "openai/gsm8k", "eval": None}
    found = validated(http, {"data": data})["preflight"]
    assert (found["num_rows"], found["rewards"]) == (0, [])
    assert "only to workers" in found["not_tried"]


def test_code_that_hangs_takes_its_share_of_the_time_and_keeps_no_request_waiting(
    python_settings: Settings, key: str, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("api.limits.reward_trials.SECONDS_IN_ALL", 4.0)
    before = set(multiprocessing.active_children())  # of servers that other tests share
    hangs = {"type": "python", "source": "def grade(sample, item):\n    while True: pass"}
    rewards = [hangs, {"type": "exact"}]
    body = {"rewards": rewards, "completions": [{"completion": ""}]}
    theirs = make_key(database, "theirs", "read", "submit")
    with (
        serving(python_settings) as url,
        client(url, key) as http,
        client(url, theirs) as their_http,
    ):
        file = upload(http, lines({"question": "1+1=", "answer": "2"})).json()["id"]
        spec = {"rewards": rewards, "data": {"train": file}}
        # Their code is compiled once, in a process that stays.
        assert http.post("/v1/estimates", json={"spec": spec}).status_code == 200
        checking = len(multiprocessing.active_children())
        with ThreadPoolExecutor() as threads:
            asking = [threads.submit(http.post, "/v1/jobs?validate_only=true", json=spec)]
            wait_until(lambda: len(multiprocessing.active_children()) > checking)
            time.sleep(2 * IDLE_SECONDS)
            assert idle_transactions(database) == 0
            asking += [
                threads.submit(one.post, "/v1/rewards/try", json=body) for one in (http, their_http)
            ]
            quick = tried(http, [{"type": "exact"}], {"completion": "a", "answer": "a"})
        assert quick.json()["completions"][0]["total"] == 1
        assert quick.elapsed.total_seconds() < 4
    # A project has one trial at a time, and keeps no other project from its own.
    validating, busy, their_trial = (one.result() for one in asking)
    assert (busy.status_code, busy.json()["code"]) == (503, "trials_busy")
    assert busy.headers["retry-after"] == "4"
    for answer in (validating, their_trial):
        assert answer.status_code == 200
        # Its share, or on a busy machine all of the time, which starting a process takes from too.
        assert re.search("it took longer than 2 s|the 4 s for all trials were used up", answer.text)
    assert set(multiprocessing.active_children()) <= before


def idle_transactions(database: Database) -> int:
    """Return the number of idle transactions."""
    query = (
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and state like 'idle in transaction%' "
        "and state_change < now() - make_interval(secs => :seconds)"
    )
    with database.session() as session:
        return session.execute(text(query), {"seconds": IDLE_SECONDS}).scalar_one()
