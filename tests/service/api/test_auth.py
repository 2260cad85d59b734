"""Keys and scopes: permissions and refusals."""

import httpx
import pytest

from store.database.database import Database
from tests.service.api.conftest import client, make_key


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer duet_" + "0" * 49},
        {"Authorization": "Bearer \u00fc\u00fc".encode("latin-1")},
    ],
)
def test_without_a_valid_key_no_information_is_returned(url: str, headers: dict):
    answer = httpx.get(f"{url}/v1/jobs", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_reads_or_submits_as_far_as_its_scopes_go(url: str, database: Database):
    with client(url, make_key(database, "ours", "read")) as reader:
        assert reader.get("/v1/jobs").status_code == 200
        refused = reader.post("/v1/jobs", json={})
        assert refused.status_code == 403
        assert refused.json()["code"] == "scope_missing"
        assert "'submit'" in refused.json()["detail"]
    with client(url, make_key(database, "ours", "submit")) as submitter:
        assert submitter.post("/v1/jobs", json={}).status_code == 201
        assert submitter.get("/v1/jobs").status_code == 403


def test_a_key_can_read_its_own_identity(http: httpx.Client, key: str):
    me = http.get("/v1/me").json()
    assert me["project"]["name"] == "ours"
    assert me["key"]["scopes"] == ["read", "submit"]
    assert key.startswith(me["key"]["prefix"])
    assert key not in str(me)
    assert me["key"]["id"].startswith("key_")
    assert me["project"]["id"].startswith("proj_")
