"""Keys and projects over the API."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.access.keys import Scope
from store.database.database import Database
from tests.service.api.conftest import client, make_key

SCOPES = get_args(Scope)


@pytest.fixture
def admin(url: str, database: Database) -> Iterator[httpx.Client]:
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as opened:
        yield opened


@pytest.fixture
def operator(url: str, database: Database) -> Iterator[httpx.Client]:
    with client(url, make_key(database, "operator", *SCOPES)) as opened:
        yield opened


def test_a_key_is_made_shown_once_used_and_revoked(url: str, admin: httpx.Client):
    made = admin.post("/v1/keys", json={"name": "a notebook", "scopes": ["read"]})
    assert made.status_code == 201
    new = made.json()
    assert made.headers["location"] == f"/v1/keys/{new['id']}"
    assert new["key"].startswith(new["prefix"])
    assert (new["scopes"], new["last_used_at"], new["revoked_at"]) == (["read"], None, None)
    with client(url, new["key"]) as reader:
        assert reader.get("/v1/jobs").status_code == 200
        assert reader.get("/v1/keys").status_code == 403
        listed = admin.get("/v1/keys").json()["data"]
        assert [key["name"] for key in listed] == ["a notebook", "read/submit/admin"]
        assert listed[0]["last_used_at"] is not None
        assert new["key"] not in str(listed)

        for _ in range(2):  # repeating it changes nothing
            assert admin.delete(f"/v1/keys/{new['id']}").status_code == 204
        assert reader.get("/v1/jobs").status_code == 401
    assert admin.get("/v1/keys").json()["data"][0]["revoked_at"] is not None


def test_a_rotated_key_stays_valid_for_the_requested_overlap(url: str, admin: httpx.Client):
    old = admin.post("/v1/keys", json={"name": "a notebook", "scopes": ["read"]}).json()
    answer = admin.post(f"/v1/keys/{old['id']}/rotate")
    new = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/keys/{new['id']}")
    assert (new["name"], new["scopes"], new["expires_at"]) == ("a notebook", ["read"], None)
    assert len({old["key"], new["key"]}) == 2
    with client(url, old["key"]) as before, client(url, new["key"]) as after:
        assert [each.get("/v1/jobs").status_code for each in (before, after)] == [200, 200]
        listed = admin.get("/v1/keys").json()["data"]
        ends = {key["id"]: key["expires_at"] for key in listed}[old["id"]]
        left = datetime.fromisoformat(ends) - datetime.now(UTC)
        assert timedelta(hours=23) < left <= timedelta(hours=24)
        again = admin.post(f"/v1/keys/{old['id']}/rotate")
        assert (again.status_code, again.json()["code"]) == (409, "conflict")

        last = admin.post(f"/v1/keys/{new['id']}/rotate?overlap_seconds=0").json()
        assert after.get("/v1/jobs").status_code == 401
        assert admin.delete(f"/v1/keys/{last['id']}").status_code == 204
        assert admin.post(f"/v1/keys/{last['id']}/rotate").status_code == 409
    long = admin.post(f"/v1/keys/{old['id']}/rotate?overlap_seconds=604801")
    assert long.json()["errors"][0]["parameter"] == "overlap_seconds"


def test_a_key_does_not_lock_itself_out(admin: httpx.Client):
    own = admin.get("/v1/me").json()["key"]["id"]
    refused = admin.delete(f"/v1/keys/{own}")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert admin.get("/v1/keys").status_code == 200


def test_another_projects_keys_are_not_there(admin: httpx.Client, their_http: httpx.Client):
    theirs = their_http.get("/v1/keys").json()["data"][0]["id"]
    assert admin.delete(f"/v1/keys/{theirs}").status_code == 404
    assert admin.post(f"/v1/keys/{theirs}/rotate").status_code == 404
    assert their_http.get("/v1/keys").status_code == 200


def test_keys_are_paged(admin: httpx.Client):
    for n in range(3):
        admin.post("/v1/keys", json={"name": f"{n}", "scopes": ["read"]})
    first = admin.get("/v1/keys?limit=2").json()
    second = admin.get("/v1/keys", params={"limit": 2, "after": first["next"]}).json()
    names = [key["name"] for page in (first, second) for key in page["data"]]
    assert names == ["2", "1", "0", "read/submit/admin"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["read"]}, "/name"),
        ({"name": "", "scopes": ["read"]}, "/name"),
        ({"name": "a", "scopes": []}, "/scopes"),
        ({"name": "a", "scopes": ["root"]}, "/scopes/0"),
        ({"name": "a", "scopes": ["read"], "project": "b"}, "/project"),
    ],
)
def test_a_wrong_key_is_named(admin: httpx.Client, body: dict, pointer: str):
    answer = admin.post("/v1/keys", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_project_is_made_with_a_key_and_keeps_to_its_quota(url: str, operator: httpx.Client):
    made = operator.post("/v1/projects", json={"name": "theirs", "max_queued": 1})
    assert made.status_code == 201, made.text
    project, key = made.json()["project"], made.json()["key"]
    assert (project["max_running"], project["max_queued"]) == (None, 1)
    assert key["scopes"] == ["read", "submit"]
    with client(url, key["key"]) as theirs:
        assert theirs.get("/v1/me").json()["project"]["id"] == project["id"]
        assert theirs.get("/v1/jobs").json()["data"] == []
        assert theirs.post("/v1/jobs", json={}).status_code == 201
        assert theirs.post("/v1/jobs", json={}).status_code == 429
        changed = operator.put(f"/v1/projects/{project['id']}/quota", json={"max_queued": 2})
        assert changed.json()["max_queued"] == 2
        assert theirs.post("/v1/jobs", json={}).status_code == 201
    again = operator.post("/v1/projects", json={"name": "theirs"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    names = [each["name"] for each in operator.get("/v1/projects").json()["data"]]
    assert names == ["theirs", "operator"]
    nobody = f"proj_{'0' * 32}"
    assert operator.put(f"/v1/projects/{nobody}/quota", json={}).status_code == 404


ADMINS_OWN = ("/v1/keys", "/v1/webhooks", "/v1/audit", "/v1/me")
SERVERS = [
    ("GET", "/v1/projects", None),
    ("POST", "/v1/projects", {"name": "mine"}),
    ("PUT", "/v1/projects/{theirs}/quota", {"max_running": 0, "max_queued": 0}),
    ("PUT", "/v1/projects/{own}/quota", {"weight": 1000}),
    ("POST", "/v1/workers/work_00000000000000000000000000000000/drain", None),
    ("POST", "/v1/workers/work_00000000000000000000000000000000/undrain", None),
]


def test_a_projects_admin_is_not_the_servers(
    url: str, admin: httpx.Client, their_http: httpx.Client
):
    own, theirs = (http.get("/v1/me").json()["project"]["id"] for http in (admin, their_http))
    for method, path, body in SERVERS:
        refused = admin.request(method, path.format(own=own, theirs=theirs), json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing"), path
        assert "'server'" in refused.json()["detail"]
    assert {admin.get(path).status_code for path in ADMINS_OWN} == {200}
    assert their_http.post("/v1/jobs", json={}).status_code == 201


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(own=st.sets(st.sampled_from(SCOPES)), wanted=st.lists(st.sampled_from(SCOPES), min_size=1))
def test_no_key_grants_a_scope_that_it_lacks(
    url: str, database: Database, own: set[Scope], wanted: list[Scope]
):
    """Refused for a new key, for the first key of a new project, and for a rotation."""
    admin = make_key(database, "ours", "admin", *sorted(own - {"admin"}))
    operator = make_key(database, "ours", "server", *sorted(own - {"server"}))
    other = make_key(database, "ours", *wanted)
    with client(url, other) as http:
        other_id = http.get("/v1/me").json()["key"]["id"]
    with client(url, admin) as http:
        made = http.post("/v1/keys", json={"name": "a", "scopes": wanted})
        rotated = http.post(f"/v1/keys/{other_id}/rotate")
    may = {*wanted} <= {*own, "admin"}
    assert (made.status_code, rotated.status_code) == ((201, 201) if may else (403, 403))
    with client(url, operator) as http:
        name = f"project of {other_id}"
        begun = http.post("/v1/projects", json={"name": name, "scopes": wanted})
    assert begun.status_code == (201 if {*wanted} <= {*own, "server"} else 403)


def test_an_admin_ends_no_key_of_the_servers(admin: httpx.Client, url: str, database: Database):
    operators = make_key(database, "ours", "server")
    with client(url, operators) as http:
        key_id = http.get("/v1/me").json()["key"]["id"]
        refused = admin.delete(f"/v1/keys/{key_id}")
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
        assert http.get("/v1/projects").status_code == 200


def test_a_projects_audit_log_shows_changes_by_the_servers_keys(
    operator: httpx.Client, admin: httpx.Client
):
    project = admin.get("/v1/me").json()["project"]["id"]
    quota = {"max_running": 1, "max_queued": 2, "weight": 7}
    changed = operator.put(f"/v1/projects/{project}/quota", json=quota)
    assert changed.json() | quota == changed.json()
    [told] = admin.get("/v1/audit?action=project.set_quota").json()["data"]
    assert (told["object"], told["key"]["name"]) == (project, "read/submit/admin/server")
    assert told["request_id"] == changed.headers["x-request-id"]
    assert (told["address"], told["session"]) == (None, None)
    [own] = operator.get("/v1/audit?action=project.set_quota").json()["data"]
    assert (own["object"], own["address"]) == (project, "127.0.0.1")
    made = operator.post("/v1/projects", json={"name": "new", "scopes": ["admin"]}).json()
    with httpx.Client(base_url=str(operator.base_url)) as http:
        http.headers["Authorization"] = f"Bearer {made['key']['key']}"
        assert [each["action"] for each in http.get("/v1/audit").json()["data"]] == [
            "project.create"
        ]


def test_a_change_to_the_keys_own_project_is_recorded_once(operator: httpx.Client):
    own = operator.get("/v1/me").json()["project"]["id"]
    operator.put(f"/v1/projects/{own}/quota", json={})
    assert len(operator.get("/v1/audit?action=project.set_quota").json()["data"]) == 1


@pytest.mark.parametrize("weight", [0, -1, 1001, 1.5, "3", None, 2**70])
def test_a_wrong_weight_is_named(operator: httpx.Client, weight: object):
    own = operator.get("/v1/me").json()["project"]["id"]
    answer = operator.put(f"/v1/projects/{own}/quota", json={"weight": weight})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/weight"]
