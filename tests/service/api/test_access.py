"""Keys and projects over the API."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from store.database import Database
from tests.service.api.conftest import client, make_key


@pytest.fixture
def admin(url: str, database: Database) -> Iterator[httpx.Client]:
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as opened:
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


def test_a_rotated_key_goes_on_beside_its_successor_for_as_long_as_was_said(
    url: str, admin: httpx.Client
):
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


def test_a_project_is_made_with_a_key_and_keeps_to_its_quota(url: str, admin: httpx.Client):
    made = admin.post("/v1/projects", json={"name": "theirs", "max_queued": 1})
    assert made.status_code == 201, made.text
    project, key = made.json()["project"], made.json()["key"]
    assert (project["max_running"], project["max_queued"]) == (None, 1)
    assert key["scopes"] == ["read", "submit"]
    with client(url, key["key"]) as theirs:
        assert theirs.get("/v1/me").json()["project"]["id"] == project["id"]
        assert theirs.get("/v1/jobs").json()["data"] == []
        assert theirs.post("/v1/jobs", json={}).status_code == 201
        assert theirs.post("/v1/jobs", json={}).status_code == 429
        changed = admin.put(f"/v1/projects/{project['id']}/quota", json={"max_queued": 2})
        assert changed.json()["max_queued"] == 2
        assert theirs.post("/v1/jobs", json={}).status_code == 201
    again = admin.post("/v1/projects", json={"name": "theirs"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    names = [each["name"] for each in admin.get("/v1/projects").json()["data"]]
    assert names == ["theirs", "ours"]
    nobody = f"proj_{'0' * 32}"
    assert admin.put(f"/v1/projects/{nobody}/quota", json={}).status_code == 404
