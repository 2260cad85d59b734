"""Secrets over HTTP: set, listed by name, replaced, deleted, and never shown."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from store.access import project_secrets
from store.database.database import Database
from store.security.encryption import Cipher
from store.settings import Settings
from store.tables import Project
from tests.service.api.conftest import Servers, client, make_key
from tests.waiting import wait_until

KEY = urlsafe_b64encode(b"k" * 32).decode()
VALUE = "hf_canary-of-ours"
PATH = "/v1/secrets/HF_TOKEN"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"secrets_key": KEY})


@pytest.fixture
def admin(url: str, database: Database) -> Iterator[httpx.Client]:
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as opened:
        yield opened


def read(database: Database, settings: Settings, project: str, name: str) -> str | None:
    with database.session() as session:
        owner: UUID = session.scalars(select(Project.id).where(Project.name == project)).one()
        return project_secrets.read(session, Cipher.of(settings), owner, name)


def test_a_secret_is_set_listed_replaced_and_deleted(
    admin: httpx.Client, database: Database, settings: Settings
):
    made = admin.put(PATH, json={"value": "hf_first"})
    assert made.status_code == 200, made.text
    assert made.json().keys() == {"name", "host", "created_at", "updated_at"}
    changed = admin.put(PATH, json={"value": VALUE}).json()
    assert changed["created_at"] == made.json()["created_at"]
    assert changed["updated_at"] > made.json()["updated_at"]
    admin.put("/v1/secrets/A_KEY", json={"value": "x"})
    listed = admin.get("/v1/secrets").json()
    assert [each["name"] for each in listed["data"]] == ["A_KEY", "HF_TOKEN"]
    assert (listed["data"][1], listed["next"]) == (changed, None)
    assert read(database, settings, "ours", "HF_TOKEN") == VALUE
    assert admin.delete(PATH).status_code == 204
    assert admin.delete(PATH).status_code == 404
    assert read(database, settings, "ours", "HF_TOKEN") is None


def test_projects_have_each_their_own(
    admin: httpx.Client, their_http: httpx.Client, database: Database, settings: Settings
):
    admin.put(PATH, json={"value": VALUE})
    assert their_http.get("/v1/secrets").json()["data"] == []
    assert their_http.delete(PATH).status_code == 404
    assert read(database, settings, "theirs", "HF_TOKEN") is None
    their_http.put(PATH, json={"value": "hf_theirs"})
    their_http.delete(PATH)
    assert read(database, settings, "ours", "HF_TOKEN") == VALUE


def test_only_an_admin_sets_and_lists(http: httpx.Client):
    for answer in (
        http.put(PATH, json={"value": VALUE}),
        http.get("/v1/secrets"),
        http.delete(PATH),
    ):
        assert answer.status_code == 403
        assert VALUE not in answer.text


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", f"{VALUE} ", f"{VALUE}\n", f"{VALUE}\r\nX-Header: 1", f"{VALUE}\x7f"),
        *(f"{VALUE}é", f"{VALUE}\u2028", VALUE * 500, 7, None, [VALUE], {VALUE: VALUE}),
    ],
)
def test_a_value_that_no_header_can_carry_is_refused_and_not_repeated(
    admin: httpx.Client, value: object
):
    with capture_logs() as logs:
        answer = admin.put(PATH, json={"value": value})
        wait_until(lambda: "/v1/secrets/HF_TOKEN" in str(logs))
    assert answer.status_code == 422, answer.text
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/value"]
    assert VALUE not in answer.text + str(logs)
    assert admin.get("/v1/secrets").json()["data"] == []


@pytest.mark.parametrize("name", ["hf_token", "1A", "A-B", "A.B", "A" * 65, "Ä", "A%0A", "A%00"])
def test_a_secrets_name_must_be_a_variable_name(admin: httpx.Client, name: str):
    answer = admin.put(f"/v1/secrets/{name}", json={"value": VALUE})
    assert answer.status_code == 422, answer.text
    assert VALUE not in answer.text


def test_a_project_has_a_bounded_number(admin: httpx.Client):
    for number in range(project_secrets.MOST):
        assert admin.put(f"/v1/secrets/S{number}", json={"value": "x"}).is_success
    refused = admin.put("/v1/secrets/ANOTHER", json={"value": VALUE})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert "50 secrets" in refused.json()["detail"]
    assert admin.put("/v1/secrets/S0", json={"value": "replaced"}).is_success


def test_no_response_contains_the_value(admin: httpx.Client):
    with capture_logs() as logs:
        said = [
            admin.put(PATH, json={"value": VALUE}),
            *map(admin.get, ("/v1/secrets", "/v1/audit", "/v1/me", "/metrics")),
            admin.delete(PATH),
        ]
        wait_until(lambda: "DELETE" in str(logs))
    records = said[2].json()["data"]
    assert [(each["action"], each["object"]) for each in records] == [("secret.set", "HF_TOKEN")]
    assert VALUE not in str(logs)
    assert not any(VALUE in answer.text for answer in said)
    assert admin.get("/v1/audit").json()["data"][0]["action"] == "secret.delete"


def test_a_server_without_an_encryption_key_reports_it(
    admin: httpx.Client, settings: Settings, database: Database, servers: Servers
):
    without = servers.at(settings.model_copy(update={"secrets_key": ""}))
    with client(without, make_key(database, "ours", "admin")) as http:
        refused = http.put(PATH, json={"value": VALUE})
        assert refused.status_code == 409
        assert "DUET_SECRETS_KEY" in refused.json()["detail"]
        assert http.get("/v1/secrets").json()["data"] == []
    assert admin.get("/v1/secrets").is_success
