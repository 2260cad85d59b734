"""Extreme values in every field and every parameter cause no server error."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from grpo.rewards.single import SINGLE_TYPES
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError, resolve
from store.settings import Settings
from tests.contract.extremes import EVERY, TEXTS, TIMES
from tests.openapi_document import openapi_document
from tests.service.api.conftest import client, make_key, serving

pytestmark = pytest.mark.nightly

Path = tuple[str | int, ...]


@pytest.fixture
def admin(settings: Settings, database: Any) -> Iterator[httpx.Client]:
    key = make_key(database, "ours", "read", "submit", "admin")
    with serving(settings) as url, client(url, key) as opened:
        yield opened


def fields(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield pointers to every value of a document, containers included."""
    named = value.items() if isinstance(value, dict) else ()
    numbered = enumerate(value) if isinstance(value, list) else ()
    for step, inner in (*named, *numbered):
        yield (*path, step)
        yield from fields(inner, (*path, step))


def put(document: Any, path: Path, value: object) -> Any:
    """Return the document with another value at a pointer."""
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, Mapping) else list(document)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


FULL: dict[str, Any] = {
    **json.loads(JobSpec().model_dump_json()),
    "data": {
        **json.loads(JobSpec().model_dump_json())["data"],
        "train": [{"source": "arithmetic", "name": "a", "weight": 1.0, "config": None}],
        "eval": "arithmetic",
    },
    "model": {"source": "tiny-arithmetic", "revision": None, "lora": {"targets": ["q_proj"]}},
    "labels": {"team": "a"},
    "rollout": {"stop": ["#"]},
}
REWARDS: dict[str, dict[str, Any]] = {
    "exact": {"after": "#"},
    "number": {"after": "#"},
    "math": {"after": "#"},
    "regex": {"pattern": "a(b)", "capture": 1},
    "string_check": {"input": "{{sample.output_text}}", "reference": "a", "operation": "eq"},
    "format": {"tags": ["think"]},
    "length": {"target_tokens": 1, "limit_tokens": 2},
    "json_schema": {"definition": {"type": "object", "required": ["a"]}, "after": None},
    "text_similarity": {"measure": "ratio", "threshold": 0.5, "input": "a", "reference": "b"},
    "python": {"source": "def grade(sample, item):\n    return 1"},
    "multi": {"rewards": [{"type": "exact", "name": "a"}], "calculate_output": "a"},
}


def taken(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the document if the spec's own checks accept it."""
    try:
        resolve(json.loads(json.dumps(document)))
    except SpecError:
        return None
    return document


def specs() -> list[dict[str, Any]]:
    """Yield specs with each extreme in each field that its bounds accept."""
    found = [taken(put(FULL, path, value)) for path in fields(FULL) for value in EVERY]
    for name, settings in REWARDS.items():
        reward = {"type": name, "weight": 1.0, "name": "a", **settings}
        found += [
            taken({"rewards": [put(reward, path, value)]})
            for path in fields(reward)
            for value in EVERY
        ]
    unique = {json.dumps(spec): spec for spec in found if spec is not None}
    return list(unique.values())


def no_fault(answer: httpx.Response, sent: object) -> None:
    assert answer.status_code < 500, (json.dumps(sent)[:500], answer.text[:500])


def test_every_reward_is_tried_here():
    assert set(REWARDS) == {*SINGLE_TYPES, "multi"}


def test_no_extreme_in_a_spec_field_is_accepted_that_cannot_be_stored(admin: httpx.Client):
    """Validate and queue: every accepted spec can be stored and shown."""
    for spec in specs():
        body = json.dumps(spec)
        answer = admin.post("/v1/jobs", content=body)
        no_fault(answer, spec)
        if answer.status_code == 201:
            no_fault(admin.get(answer.headers["location"]), spec)
        no_fault(admin.post("/v1/estimates", content=json.dumps({"spec": spec})), spec)
    for listed in ("/v1/jobs?limit=100", "/openai/v1/fine_tuning/jobs?limit=100"):
        no_fault(admin.get(listed), listed)


GRADER = {
    "type": "multi",
    "name": "all",
    "calculate_output": "0.5 * a + b",
    "graders": {
        "a": {
            "type": "string_check",
            "name": "a",
            "input": "{{sample.output_text}}",
            "reference": "{{item.answer}}",
            "operation": "eq",
        },
        "b": {
            "type": "text_similarity",
            "name": "b",
            "input": "{{sample.output_text}}",
            "reference": "x",
            "evaluation_metric": "bleu",
        },
    },
}
FINE_TUNING = {
    "model": "tiny-arithmetic",
    "training_file": "arithmetic",
    "validation_file": "arithmetic",
    "suffix": "a",
    "seed": 1,
    "metadata": {"team": "a"},
    "method": {
        "type": "reinforcement",
        "reinforcement": {
            "grader": GRADER["graders"]["a"],
            "hyperparameters": {
                "n_epochs": 1,
                "batch_size": 8,
                "learning_rate_multiplier": 1.0,
                "eval_interval": 1,
                "eval_samples": 1,
            },
        },
    },
    "duet": {"data": {"prompt": "{{question}}"}},
}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/sweeps?validate_only=true": {
        "base": {"name": "a"},
        "grid": {"seed": [0, 1]},
        "name": "a",
        "labels": {"a": "b"},
    },
    "/v1/webhooks": {"url": "https://1.1.1.1/", "events": ["job.created"], "description": "d"},
    "/v1/keys": {"name": "a", "scopes": ["read"]},
    "/v1/projects": {"name": "p", "key_name": "k", "scopes": ["read"], "max_queued": 1},
    "/v1/datasets/preview": {"train": "arithmetic", "prompt": "{{question}}", "answer": "a"},
    "/v1/rewards/try": {
        "rewards": [{"type": "exact", "weight": 1.0}],
        "completions": [{"completion": "a", "answer": "b", "item": {"a": 1}, "num_tokens": 1}],
    },
    "/v1/estimates": {"spec": {}, "group_sizes": [2]},
    "/openai/v1/fine_tuning/jobs": FINE_TUNING,
    "/openai/v1/fine_tuning/alpha/graders/validate": {"grader": GRADER},
}


@pytest.mark.parametrize("route", BODIES)
def test_no_extreme_in_a_body_field_is_a_server_error(admin: httpx.Client, route: str):
    body = BODIES[route]
    assert admin.post(route, json=body).status_code < 300, admin.post(route, json=body).text
    for path in fields(body):
        for value in EVERY:
            sent = put(body, path, value)
            no_fault(admin.post(route, content=json.dumps(sent)), sent)


def parameters() -> list[tuple[str, str]]:
    """Return (route, parameter) of every read route."""
    return [
        (path, parameter["name"])
        for path, operations in openapi_document()["paths"].items()
        for parameter in operations.get("get", {}).get("parameters", ())
        if parameter["in"] == "query"
    ]


WRITTEN = [text for text in (*TEXTS, *TIMES, "²", "٣" * 30, "1e999", "9" * 30, "-1") if text != ""]


def asked(text: object) -> str:
    """Encode a value for a query; an unpaired surrogate is not valid UTF-8."""
    return quote(str(text)[:8000].encode(errors="surrogatepass"))


def test_no_extreme_in_a_query_parameter_is_a_server_error(admin: httpx.Client):
    job = admin.post("/v1/jobs", json={}).json()["id"]
    known = {"{job}": job, "{file}": "file_0", "{path}": "a"}
    tried = parameters()
    assert len(tried) > 40
    tried += [("/openai/v1/fine_tuning/jobs", f"metadata[{asked(text)}]") for text in WRITTEN]
    for route, name in tried:
        address = route
        for hole, filler in known.items():
            address = address.replace(hole, filler)
        if address.endswith("/stream") or "{" in address:
            continue
        for text in WRITTEN:
            query = f"{address}?{name}={asked(text)}"
            no_fault(admin.get(query), query)


@pytest.mark.parametrize(
    "route",
    [
        *("/v1/jobs/{}", "/v1/files/{}", "/v1/checkpoints/{}", "/v1/workers/{}", "/v1/sweeps/{}"),
        *("/v1/webhooks/{}", "/openai/v1/files/{}", "/openai/v1/fine_tuning/jobs/{}"),
        *("/v1/checkpoints/ckpt_" + "0" * 32 + "/files/{}", "/{}", "/js/{}", "/docs/{}"),
    ],
)
def test_no_extreme_in_a_path_is_a_server_error(admin: httpx.Client, route: str):
    for text in WRITTEN:
        path = route.format(asked(text)[:8000])
        if not path.startswith("//"):  # else it names a host
            no_fault(admin.get(path), path)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Idempotency-Key", "x" * 256),
        ("Idempotency-Key", "\u00ff" * 255),
        ("x-stainless-retry-count", "9" * 5000),
        ("x-stainless-retry-count", "-1"),
        ("Last-Event-ID", "9" * 5000),
        ("If-None-Match", "x" * 5000),
        ("traceparent", "x" * 5000),
        ("x-request-id", "x" * 5000),
        ("Range", "bytes=" + "9" * 5000 + "-"),
        ("Cookie", "duet_session=" + "x" * 5000),
    ],
)
def test_no_extreme_in_a_header_is_a_server_error(admin: httpx.Client, header: str, value: str):
    headers = httpx.Headers({header: value}, encoding="latin-1")
    for route, body in (("/v1/jobs", {}), ("/openai/v1/fine_tuning/jobs", FINE_TUNING)):
        no_fault(admin.post(route, json=body, headers=headers), [header, value])
    no_fault(admin.get("/v1/jobs", headers=headers), [header, value])
