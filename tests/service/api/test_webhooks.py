"""Webhooks over HTTP: created, shown, changed, tested, and their deliveries."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from store.database.database import Database
from store.ids import encode, new_id
from store.settings import Settings
from store.webhooks import deliveries
from store.webhooks.deliveries import PATIENCE
from store.webhooks.events import EVENT_TYPES
from store.webhooks.sender import Answer
from tests.service.api.conftest import client, make_key, serving
from tests.service.delivering import delivering
from tests.service.receiver import Receiver, receiving
from tests.waiting import wait_until

HOOK, MESSAGE = encode("hook", new_id()), encode("msg", new_id())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that allow receivers on this machine."""
    return settings.model_copy(update={"webhooks_allow_private": True})


@pytest.fixture
def admin(url: str, database: Database) -> Iterator[httpx.Client]:
    """A client with all scopes of the project `ours`."""
    with client(url, make_key(database, "ours", "read", "submit", "admin")) as opened:
        yield opened


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def made(admin: httpx.Client, receiver: Receiver, **more: Any) -> dict[str, Any]:
    answer = admin.post("/v1/webhooks", json={"url": receiver.url, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/webhooks/{answer.json()['id']}"
    return answer.json()


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


def test_a_webhook_shows_its_secret_once(admin: httpx.Client, receiver: Receiver):
    hook = made(admin, receiver, description="for the pager")
    assert hook.pop("secret").startswith("whsec_")
    assert (hook["enabled"], hook["events"]) == (True, list(EVENT_TYPES))
    assert admin.get(f"/v1/webhooks/{hook['id']}").json() == hook
    assert admin.get("/v1/webhooks").json() == {"data": [hook], "next": None}


def test_a_webhook_is_changed_disabled_enabled_and_deleted(admin: httpx.Client, receiver: Receiver):
    path = f"/v1/webhooks/{made(admin, receiver)['id']}"
    changed = admin.patch(path, json={"events": ["job.failed"], "description": "d"}).json()
    assert (changed["events"], changed["description"]) == (["job.failed"], "d")
    off = admin.patch(path, json={"enabled": False}).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "disabled by read/submit/admin")
    on = admin.patch(path, json={"enabled": True, "url": receiver.url + "/2"}).json()
    assert (on["enabled"], on["disabled_at"], on["url"]) == (True, None, receiver.url + "/2")
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.get("/v1/webhooks").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": "ftp://example.com"}, "/url"),
        ({"url": "https://me:secret@example.com"}, "/url"),
        ({"url": "http://127.0.0.1:22"}, "/url"),
        ({"url": "http://127.0.0.1", "events": ["job.exploded"]}, "/events/0"),
        ({"url": "http://127.0.0.1", "events": []}, "/events"),
        ({"url": "http://127.0.0.1", "event": ["job.failed"]}, "/event"),
    ],
)
def test_an_invalid_webhook_is_refused_with_the_field(
    admin: httpx.Client, body: dict[str, Any], pointer: str
):
    assert pointers(admin.post("/v1/webhooks", json=body)) == [pointer]


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1", "http://localhost:8000", "http://[::ffff:10.0.0.1]", "http://2130706433"],
)
def test_private_addresses_are_refused_unless_the_operator_allows_them(
    settings: Settings, database: Database, address: str
):
    strict = settings.model_copy(update={"webhooks_allow_private": False})
    with serving(strict) as url, client(url, make_key(database, "ours", "admin")) as admin:
        refused = admin.post("/v1/webhooks", json={"url": address})
        assert pointers(refused) == ["/url"]
        assert "not a public address" in refused.json()["detail"]
        assert admin.get("/v1/webhooks").json()["data"] == []


def test_webhooks_need_the_scope_admin(http: httpx.Client):
    for method, path in (("GET", ""), ("POST", ""), ("POST", f"/{HOOK}/test")):
        refused = http.request(method, f"/v1/webhooks{path}", json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_another_projects_webhook_is_not_there(
    admin: httpx.Client, their_http: httpx.Client, receiver: Receiver
):
    hook = made(admin, receiver)["id"]
    assert admin.post("/v1/jobs", json={}).status_code == 201
    delivery = admin.get(f"/v1/webhooks/{hook}/deliveries").json()["data"][0]["id"]
    paths = [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("GET", f"/deliveries/{delivery}"),
        ("POST", f"/deliveries/{delivery}/redeliver"),
    ]
    for method, path in paths:
        assert their_http.request(method, f"/v1/webhooks/{hook}{path}", json={}).status_code == 404
    assert their_http.get("/v1/webhooks").json()["data"] == []
    other = made(their_http, receiver)["id"]
    crossed = f"/v1/webhooks/{other}/deliveries/{delivery}/redeliver"
    assert their_http.post(crossed).status_code == 404
    assert admin.post(f"/v1/webhooks/{hook}/deliveries/{MESSAGE}/redeliver").status_code == 404
    assert receiver.arrived == []


@pytest.fixture
def ops(database: Database) -> Iterator[None]:
    """Delivery as in `python -m worker ops`."""
    with delivering(database):
        yield


def sent_test(admin: httpx.Client, hook: dict[str, Any]) -> dict[str, Any]:
    """Wait for the delivery of a test event and return it."""
    answer = admin.post(f"/v1/webhooks/{hook['id']}/test")
    assert answer.status_code == 202, answer.text
    place = answer.headers["location"]
    assert place == f"/v1/webhooks/{hook['id']}/deliveries/{answer.json()['id']}"
    wait_until(lambda: admin.get(place).json()["status"] != "pending")
    return admin.get(place).json()


@pytest.mark.usefixtures("ops")
def test_a_test_event_is_sent_once_and_its_delivery_shows_the_result(
    admin: httpx.Client, receiver: Receiver
):
    hook = made(admin, receiver)
    sent = sent_test(admin, hook)
    assert (sent["status"], sent["status_code"], sent["error"]) == ("delivered", 200, None)
    [received] = receiver.arrived
    payload = received.verified(hook["secret"])
    assert (payload["type"], payload["data"]) == ("webhook.test", {"webhook": hook["id"]})
    admin.patch(f"/v1/webhooks/{hook['id']}", json={"enabled": False})
    receiver.answering = lambda _: 410
    failed = sent_test(admin, hook)
    assert (failed["status"], failed["tries"], failed["error"]) == (
        "given_up",
        1,
        "it answered 410",
    )
    now = admin.get(f"/v1/webhooks/{hook['id']}").json()
    assert (now["disabled_reason"], now["failing_since"]) == (
        "disabled by read/submit/admin",
        None,
    )
    assert admin.get(f"/v1/webhooks/{hook['id']}/deliveries/{MESSAGE}").status_code == 404


def test_tests_wait_for_ops_and_hold_no_thread_of_the_api(admin: httpx.Client, receiver: Receiver):
    """Send many more tests than there are threads, to a hanging receiver."""
    hook = made(admin, receiver)
    answers = [admin.post(f"/v1/webhooks/{hook['id']}/test") for _ in range(100)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert receiver.arrived == []


def test_adding_or_changing_a_webhook_resolves_no_name(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []
    getaddrinfo = socket.getaddrinfo

    def noted(host: str, *arguments: Any, **options: Any) -> Any:
        flags = options.get("flags", 0)
        if host == "receiver.invalid" and not flags & socket.AI_NUMERICHOST:
            asked.append(host)
        return getaddrinfo(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    strict = settings.model_copy(update={"webhooks_allow_private": False})
    with serving(strict) as url, client(url, make_key(database, "ours", "admin")) as admin:
        answer = admin.post("/v1/webhooks", json={"url": "https://receiver.invalid/"})
        assert answer.status_code == 201, answer.text
        path = f"/v1/webhooks/{answer.json()['id']}"
        assert admin.patch(path, json={"url": "https://receiver.invalid/2"}).status_code == 200
    assert asked == []


def test_a_project_has_as_many_webhooks_as_it_may_and_others_have_theirs(
    settings: Settings, database: Database
):
    few = settings.model_copy(update={"max_webhooks": 2})
    body = {"url": "http://127.0.0.1:8000"}
    ours, theirs = (make_key(database, name, "admin") for name in ("ours", "theirs"))
    with serving(few) as url, client(url, ours) as admin, client(url, theirs) as other:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: admin.post("/v1/webhooks", json=body), range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 6
        refused = next(answer for answer in answers if answer.status_code == 409)
        assert "has 2 webhooks, its limit" in refused.json()["detail"]
        assert other.post("/v1/webhooks", json=body).status_code == 201
        made = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
        assert admin.delete(f"/v1/webhooks/{made}").status_code == 204
        assert admin.post("/v1/webhooks", json=body).status_code == 201


@pytest.mark.usefixtures("ops")
def test_a_new_secret_signs_beside_the_old_one(admin: httpx.Client, receiver: Receiver):
    hook = made(admin, receiver)
    rotated = admin.post(f"/v1/webhooks/{hook['id']}/rotate-secret").json()
    assert rotated["secret"] not in (hook["secret"], None)
    sent_test(admin, hook)
    [received] = receiver.arrived
    assert received.verified(rotated["secret"]) == received.verified(hook["secret"])


def test_deliveries_are_listed_in_pages_and_redelivered(
    admin: httpx.Client, receiver: Receiver, database: Database
):
    path = f"/v1/webhooks/{made(admin, receiver, events=['job.created'])['id']}/deliveries"
    jobs = [admin.post("/v1/jobs", json={"name": name}).json()["id"] for name in "abc"]
    first = admin.get(path, params={"limit": 2})
    assert first.links["next"]["url"]
    second = admin.get(path, params={"limit": 2, "after": first.json()["next"]}).json()
    listed = [*first.json()["data"], *second["data"]]
    assert [item["payload"]["data"]["id"] for item in listed] == jobs[::-1]
    assert {item["status"] for item in listed} == {"pending"}
    assert second["next"] is None

    with database.session() as session:
        [claim] = deliveries.claim_due(session, limit=1, without=[], lost_after_seconds=60)
        deliveries.settle(session, claim, Answer(200, None, 0.1), PATIENCE)
    oldest = admin.get(path).json()["data"][-1]
    assert (oldest["id"], oldest["status"]) == (claim.message.id, "delivered")
    again = admin.post(f"{path}/{oldest['id']}/redeliver").json()
    assert (again["id"], again["status"], again["tries"]) == (oldest["id"], "pending", 0)
    admin.patch(path.removesuffix("/deliveries"), json={"enabled": False})
    refused = admin.post(f"{path}/{oldest['id']}/redeliver")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert {item["status"] for item in admin.get(path).json()["data"]} == {"given_up"}
