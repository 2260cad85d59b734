"""Costly checks of a reward's settings run in a bounded process, never in the API's own."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.limits.reward_time import SECONDS, TOO_LONG
from grpo.rewards.json_schema import MAX_CHARACTERS
from store.database.database import Database
from store.settings import Settings
from tests.service.api.conftest import client, make_key, serving

SLOW_PATTERN = "(?i)" + "[\\x00-\\U0010ffff]" * 110
SLOW = {"type": "regex", "pattern": SLOW_PATTERN}
DEEP_CODE = "def grade(sample, item):\n    return " + "(" * 90 + "{" * 90
REWARDS: dict[str, list[dict[str, Any]]] = {
    "a pattern": [SLOW],
    "patterns in each part": [
        {
            "type": "multi",
            "name": f"m{number}",
            "rewards": [
                {"type": "regex", "pattern": f"{SLOW_PATTERN}{number}{part}", "name": f"r{part}"}
                for part in range(16)
            ],
            "calculate_output": "r0",
        }
        for number in range(16)
    ],
    "a schema's references": [
        {
            "type": "json_schema",
            "definition": {
                "$defs": {f"d{n}": {"$anchor": f"a{n}"} for n in range(1200)},
                "anyOf": [{"$ref": f"#a{n}"} for n in range(1200)],
            },
        }
    ],
    "code": [{"type": "python", "source": DEEP_CODE}],
    "a formula": [
        {
            "type": "multi",
            "rewards": [{"type": "exact", "name": "a"}],
            "calculate_output": "(" * 240 + "a" + ")" * 240,
        }
    ],
}
TEMPLATE = "{{" + " " * 99_000
BODIES: dict[str, dict[str, Any]] = {
    "a template": {"data": {"prompt": TEMPLATE}},
    "templates of sources": {
        "data": {"train": [{"source": "arithmetic", "prompt": "{{" + " " * 30_000}] * 30}
    },
    "unknown fields": {f"f{number}": number for number in range(40_000)},
    "long names": {"data": {"x" * 990 + str(number): 1 for number in range(900)}},
    "labels": {"labels": {f"l{number}": "v" for number in range(40_000)}},
    **{name: {"rewards": rewards} for name, rewards in REWARDS.items()},
}


@pytest.fixture
def http(settings: Settings, database: Database) -> Iterator[httpx.Client]:
    allowed = settings.model_copy(update={"allow_python_rewards": True})
    key = make_key(database, "ours", "read", "submit")
    with serving(allowed) as url, client(url, key) as opened:
        opened.timeout = httpx.Timeout(60)
        yield opened


def ways(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every route that accepts a spec, or a part of one."""
    yield "/v1/jobs?validate_only=true", spec
    yield "/v1/estimates", {"spec": spec, "group_sizes": list(range(2, 18))}
    yield "/v1/sweeps?validate_only=true", {"base": spec, "grid": {"seed": list(range(64))}}
    if "rewards" in spec:
        yield "/v1/rewards/try", {**spec, "completions": [{"completion": "a"}]}
    if "data" in spec:
        yield "/v1/datasets/preview", spec["data"]


@pytest.mark.nightly
@pytest.mark.parametrize("name", BODIES)
def test_the_nastiest_spec_that_is_taken_costs_the_api_little_on_every_route(
    http: httpx.Client, name: str
):
    spec = BODIES[name]
    assert len(json.dumps(spec)) < 1024 * 1024
    for route, body in ways(spec):
        silent = threading.Event()
        thread = threading.Thread(target=watch, args=(http, silent))
        before = time.process_time()
        thread.start()
        answer = http.post(route, json=body)
        spent = time.process_time() - before
        silent.set()
        thread.join()
        assert answer.status_code in (200, 413, 422), (route, answer.text[:300])
        assert spent < 4, f"{route} took the API {spent:.1f} s of the processor"


def watch(http: httpx.Client, until: threading.Event) -> None:
    """Assert that the server keeps answering."""
    while not until.wait(0.1):
        assert http.get("/livez").status_code == 200


def test_a_reward_that_is_too_costly_to_check_is_refused_and_others_are_served(
    http: httpx.Client,
):
    refused = http.post("/v1/jobs", json={"rewards": REWARDS["patterns in each part"]})
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["pointer"] == "/rewards"
    assert "simplify them" in error["detail"]
    fine = {"rewards": [{"type": "regex", "pattern": "#(\\d+)", "capture": 1}]}
    assert http.post("/v1/jobs", json=fine).status_code == 201


@pytest.mark.parametrize(
    ("reward", "pointer", "said"),
    [
        ({"type": "regex", "pattern": "("}, "/rewards/0/pattern", "not a valid regular expression"),
        ({"type": "regex", "pattern": "a", "capture": 2}, "/rewards/0", "0 groups"),
        (
            {"type": "json_schema", "definition": {"$ref": "#/x"}},
            "/rewards/0/definition",
            "not part of it",
        ),
        (
            {"type": "json_schema", "definition": {"a": "x" * MAX_CHARACTERS}},
            "/rewards/0/definition",
            "longer than",
        ),
        ({"type": "python", "source": "x = 1"}, "/rewards/0/source", "must define"),
        (
            {
                "type": "multi",
                "rewards": [{"type": "regex", "pattern": "[", "name": "a"}],
                "calculate_output": "a",
            },
            "/rewards/0/rewards/0/pattern",
            "not a valid regular expression",
        ),
        (
            {
                "type": "multi",
                "rewards": [{"type": "exact", "name": "a"}],
                "calculate_output": "b",
            },
            "/rewards/0",
            "unknown reward",
        ),
    ],
)
def test_a_check_that_was_put_off_points_at_the_field(
    http: httpx.Client, reward: dict[str, Any], pointer: str, said: str
):
    for route, body, above in (
        ("/v1/jobs", {"rewards": [reward]}, ""),
        ("/v1/estimates", {"spec": {"rewards": [reward]}}, "/spec"),
        ("/v1/rewards/try", {"rewards": [reward], "completions": [{"completion": "a"}]}, ""),
    ):
        answer = http.post(route, json=body)
        assert answer.status_code == 422, answer.text
        [error] = answer.json()["errors"]
        assert error["pointer"] == above + pointer
        assert said in error["detail"]


@pytest.mark.nightly
def test_a_sweep_of_slow_rewards_is_refused_when_its_time_is_spent(http: httpx.Client):
    variants = [
        {"rewards": [{"type": "regex", "pattern": f"{SLOW_PATTERN}{number}"}]}
        for number in range(64)
    ]
    began = time.monotonic()
    answer = http.post("/v1/sweeps?validate_only=true", json={"variants": variants})
    seconds = time.monotonic() - began
    assert answer.status_code == 422
    assert seconds < SECONDS + 35  # the last check that began, on a busy machine
    assert TOO_LONG in {error["detail"] for error in answer.json()["errors"]}
