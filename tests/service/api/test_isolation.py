"""Every route of the API with keys that lack access; new routes are included."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from store.access.keys import Scope
from store.database.database import Database
from tests.openapi_document import openapi_document
from tests.service.api.conftest import client, make_key
from tests.service.api.hand import Hand
from tests.waiting import deadline

# What a route needs beside a path, so that only the key can be wrong.
BODIES: dict[str, Any] = {
    "fork_job": {"checkpoint": "ckpt_" + "0" * 32},
    "create_webhook": {"url": "https://93.184.215.14/", "events": ["job.created"]},
    "create_key": {"name": "another", "scopes": ["admin"]},
    "create_project": {"name": "another", "scopes": ["server"]},
    "set_secret": {"value": "hf_x"},
    "sign_in": {"key": "duet_" + "0" * 49},
    "submit_sweep": {"base": {}, "grid": {"seed": [1, 2]}},
    "try_rewards": {"rewards": [{"type": "exact"}], "completions": [{"completion": ""}]},
    "validate_grader": {"grader": {"type": "python", "name": "a", "source": "def grade(s, i): 1"}},
    "run_grader": {
        "model_sample": "",
        "grader": {
            "type": "string_check",
            "name": "a",
            "input": "a",
            "reference": "a",
            "operation": "eq",
        },
    },
    "create_fine_tuning_job": {
        "model": "tiny-arithmetic",
        "training_file": "arithmetic",
        "method": {
            "type": "reinforcement",
            "reinforcement": {
                "grader": {
                    "type": "string_check",
                    "name": "a",
                    "input": "a",
                    "reference": "a",
                    "operation": "eq",
                }
            },
        },
    },
}
FILES = {"upload_file", "create_openai_file"}
# Names belong to each project: these reach the caller's own, and another's stays as it is.
OWN_NAMES = {"set_secret", "delete_secret"}
FOR_ANY_KEY = {"read_me"}
# Of the browser's cookie alone, and what a browser without one is told.
FOR_ANYBODY = {"sign_in": 401, "read_session": 204, "sign_out": 204}


def operations() -> Iterator[tuple[str, str, str, set[str]]]:
    """(operation id, method, path, names of the path's parameters) of every route with a key."""
    for path, by_method in openapi_document()["paths"].items():
        for method, operation in by_method.items():
            if path.startswith(("/v1/", "/openai/")):
                given = operation.get("parameters", [])
                names = {each["name"] for each in given if each["in"] == "path"}
                yield operation["operationId"], method, path, names


OPERATIONS = list(operations())


@pytest.fixture
def ours(
    url: str, database: Database, claims: Callable[[], Hand], tmp_path: Path
) -> dict[str, str]:
    """One object of each kind that a path can name, of the project `ours`."""
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as http:
        hook = {"url": "https://93.184.215.14/", "events": ["job.created"]}
        webhook = _made(http.post("/v1/webhooks", json=hook))
        job = _made(http.post("/v1/jobs", json={}))
        hand = claims()
        hand.step(1)
        hand.checkpoint(1, {"model.safetensors": b"w"}, tmp_path / "checkpoint")
        deliveries = http.get(f"/v1/webhooks/{webhook}/deliveries").json()["data"]
        sweep = http.post("/v1/sweeps", json={"base": {}, "grid": {"seed": [1, 2]}}).json()
        checkpoint = http.get(f"/v1/jobs/{job}/checkpoints").json()["data"][0]["id"]
        return {
            "job": job,
            "checkpoint": checkpoint,
            "model": checkpoint,
            "path": "model.safetensors",
            "file": _made(http.post("/v1/files", files={"file": ("a.jsonl", b'{"a": 1}\n')})),
            "webhook": webhook,
            "delivery": deliveries[0]["id"],
            "sweep": sweep["id"],
            "key": _made(http.post("/v1/keys", json={"name": "a", "scopes": ["read"]})),
            "name": http.put("/v1/secrets/HF_TOKEN", json={"value": "hf_x"}).json()["name"],
            # No project's: they are the server's, and these are not there.
            "worker": "work_" + "0" * 32,
            "project": "proj_" + "0" * 32,
        }


def _made(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def ask(http: httpx.Client, operation: str, method: str, path: str, ids: dict[str, str]) -> int:
    sent: dict[str, Any] = {}
    if operation in FILES:
        sent = {"files": {"file": ("a.jsonl", b'{"a": 1}\n')}, "data": {"purpose": "fine-tune"}}
    elif method in ("post", "put", "patch"):
        sent = {"json": BODIES.get(operation, {})}
    if operation == "compare_jobs":
        sent = {"params": {"jobs": ids["job"]}}
    return http.request(method, path.format_map(ids), **sent).status_code


def test_without_a_key_no_route_answers(url: str, ours: dict[str, str]):
    with httpx.Client(base_url=url, timeout=deadline(20)) as nobody:
        for operation, method, path, _ in OPERATIONS:
            told = FOR_ANYBODY.get(operation, 401)
            assert ask(nobody, operation, method, path, ours) == told, operation


def test_every_route_is_for_one_scope_and_never_for_another_projects_things(
    url: str, database: Database, ours: dict[str, str]
):
    answers: dict[str, dict[str, int]] = {}
    for scope in get_args(Scope):
        with client(url, make_key(database, "theirs", scope)) as theirs:
            for operation, method, path, _ in OPERATIONS:
                status = ask(theirs, operation, method, path, ours)
                answers.setdefault(operation, {})[scope] = status
    wrong = [
        f"{operation}: {answers[operation]}"
        for operation, _, _, names in OPERATIONS
        if not as_promised(operation, names, answers[operation])
    ]
    assert wrong == []


def as_promised(operation: str, names: set[str], by_scope: dict[str, int]) -> bool:
    """With all scopes of another project, objects in the path are not found."""
    allowed = [status for status in by_scope.values() if status != 403]
    if operation in FOR_ANYBODY:
        return set(allowed) == {FOR_ANYBODY[operation]}
    if operation in FOR_ANY_KEY:
        return allowed == [200] * len(get_args(Scope))
    missing = (bool(names) and operation not in OWN_NAMES) or operation == "compare_jobs"
    return len(allowed) == 1 and (allowed[0] == 404 if missing else allowed[0] < 300)


def test_refused_requests_of_another_project_change_nothing(
    url: str, database: Database, ours: dict[str, str]
):
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as owner:
        before = _all_of(owner)
        everything = make_key(database, "theirs", *get_args(Scope))
        with client(url, everything) as theirs:
            for operation, method, path, names in OPERATIONS:
                if operation in OWN_NAMES:
                    assert ask(theirs, operation, method, path, ours) < 300, operation
                elif names:
                    assert ask(theirs, operation, method, path, ours) == 404, operation
        assert _all_of(owner) == before


def _all_of(http: httpx.Client) -> list[Any]:
    lists = ("jobs", "files", "keys", "webhooks", "secrets")
    found: list[Any] = [http.get(f"/v1/{each}").json()["data"] for each in lists]
    for key in found[2]:
        key.pop("last_used_at")
    return found
