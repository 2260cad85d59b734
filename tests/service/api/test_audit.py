"""Audit: every change leaves a record, in its own transaction, without secrets."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, text, update

from store import workers
from store.access import audit
from store.access.audit import Action
from store.database.database import Database
from store.ids import decode, encode, new_id
from store.settings import Settings
from store.tables import AuditRecord
from tests.openapi_document import openapi_document
from tests.service.api.conftest import client, make_key
from tests.service.api.hand import Hand
from tests.service.api.test_isolation import BODIES, FILES

# These change nothing: they estimate, check and try.
UNRECORDED = {
    *("estimate_job", "preview_data", "try_rewards", "validate_grader", "run_grader"),
}
ACTIONS: dict[str, Action] = {
    "submit_job": "job.submit",
    "cancel_job": "job.cancel",
    "pause_job": "job.pause",
    "resume_job": "job.resume",
    "change_job": "job.change",
    "retry_job": "job.retry",
    "fork_job": "job.fork",
    "delete_job": "job.delete",
    "submit_sweep": "sweep.submit",
    "cancel_sweep": "sweep.cancel",
    "upload_file": "file.upload",
    "delete_file": "file.delete",
    "delete_checkpoint": "checkpoint.delete",
    "create_webhook": "webhook.create",
    "change_webhook": "webhook.change",
    "rotate_webhook_secret": "webhook.rotate_secret",
    "send_test_event": "webhook.test",
    "redeliver": "delivery.redeliver",
    "delete_webhook": "webhook.delete",
    "create_key": "key.create",
    "rotate_key": "key.rotate",
    "revoke_key": "key.revoke",
    "set_secret": "secret.set",
    "delete_secret": "secret.delete",
    "create_project": "project.create",
    "set_quota": "project.set_quota",
    "drain_worker": "worker.drain",
    "undrain_worker": "worker.undrain",
    "sign_in": "session.begin",
    "sign_out": "session.end",
    "create_fine_tuning_job": "job.submit",
    "cancel_fine_tuning_job": "job.cancel",
    "pause_fine_tuning_job": "job.pause",
    "resume_fine_tuning_job": "job.resume",
    "create_openai_file": "file.upload",
    "delete_openai_file": "file.delete",
    "delete_openai_model": "checkpoint.delete",
}


NOBODY = "http://127.0.0.1:1024/"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhooks_allow_private": True})


@pytest.fixture
def admin_key(database: Database) -> str:
    return make_key(database, "ours", "read", "submit", "admin", "server")


@pytest.fixture
def admin(url: str, admin_key: str) -> Iterator[httpx.Client]:
    with client(url, admin_key) as opened:
        yield opened


def newest(http: httpx.Client, **filters: str) -> dict[str, Any]:
    return http.get("/v1/audit", params={"limit": 1, **filters}).json()["data"][0]


class Doer:
    """Run each operation of the API by name, and check its record."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._paths = {
            each["operationId"]: (method, path)
            for path, by_method in openapi_document()["paths"].items()
            for method, each in by_method.items()
            if path.startswith(("/v1/", "/openai/")) and method != "get"
        }
        self.undone = set(self._paths) - UNRECORDED

    def does(self, operation: str, body: Any = None, **ids: str) -> dict[str, Any]:
        method, path = self._paths[operation]
        sent: dict[str, Any] = {"json": BODIES.get(operation, {}) if body is None else body}
        if operation in FILES:
            sent = {"files": {"file": ("a.jsonl", b'{"a": 1}\n')}, "data": {"purpose": "fine-tune"}}
        answer = self._http.request(method, path.format_map(ids), **sent)
        assert answer.is_success, answer.text
        record = newest(self._http)
        told = answer.json() if answer.content else {}
        assert record["action"] == ACTIONS[operation], operation
        assert record["request_id"] == answer.headers["x-request-id"], operation
        known = (told.get("id"), told.get("project", {}).get("id"), *ids.values())
        assert record["object"] in known, operation
        self.undone.discard(operation)
        return told


def test_every_change_is_recorded_with_its_author(
    admin: httpx.Client, claims: Callable[[], Hand], database: Database, tmp_path: Path
):
    doer = Doer(admin)
    does = doer.does
    assert set(ACTIONS) == doer.undone, "a route that changes something has no action here"

    job = does("submit_job")["id"]
    hand = claims()
    hand.checkpoint(1, {"model.safetensors": b"w"}, tmp_path / "one")
    hand.checkpoint(2, {"model.safetensors": b"w"}, tmp_path / "two")
    hand.finish()
    first, last = [each["id"] for each in admin.get(f"/v1/jobs/{job}/checkpoints").json()["data"]]
    does("delete_checkpoint", checkpoint=first)
    other = admin.post("/v1/jobs", json={}).json()["id"]
    hand = claims()
    hand.checkpoint(1, {"model.safetensors": b"w"}, tmp_path / "three")
    hand.finish()
    (model,) = admin.get(f"/v1/jobs/{other}/checkpoints").json()["data"]
    does("delete_openai_model", model=model["id"])
    fork = does("fork_job", {"checkpoint": last}, job=job)["id"]
    does("pause_job", job=fork)
    does("resume_job", job=fork)
    does("change_job", {"name": "another"}, job=fork)
    does("cancel_job", job=fork)
    retried = does("retry_job", job=fork)["id"]
    admin.post(f"/v1/jobs/{retried}/cancel")
    does("delete_job", job=retried)
    does("cancel_sweep", sweep=does("submit_sweep")["id"])
    does("delete_file", file=does("upload_file")["id"])
    does("delete_openai_file", file=does("create_openai_file")["id"])
    tuned = does("create_fine_tuning_job")["id"]
    for operation in ("pause", "resume", "cancel"):
        does(f"{operation}_fine_tuning_job", job=tuned)

    key = does("create_key")["id"]
    does("rotate_key", key=key)
    does("revoke_key", key=key)
    does("set_secret", name="HF_TOKEN")
    does("delete_secret", name="HF_TOKEN")
    does("set_quota", project=does("create_project")["project"]["id"])
    hook = does("create_webhook", {"url": NOBODY, "events": ["job.created"]})["id"]
    admin.post("/v1/jobs", json={})
    delivery = admin.get(f"/v1/webhooks/{hook}/deliveries").json()["data"][0]["id"]
    does("redeliver", webhook=hook, delivery=delivery)
    does("send_test_event", webhook=hook)
    does("rotate_webhook_secret", webhook=hook)
    does("change_webhook", {"description": "none"}, webhook=hook)
    does("delete_webhook", webhook=hook)
    worker = encode("work", _worker(database))
    does("drain_worker", worker=worker)
    does("undrain_worker", worker=worker)
    assert doer.undone == {"sign_in", "sign_out"}


def _worker(database: Database) -> UUID:
    worker_id = new_id()
    with database.session() as session:
        workers.register(
            session,
            worker_id=worker_id,
            host="workbench",
            boot_id="boot",
            pid=1,
            queues=["default"],
            num_gpus=0,
            slots=1,
            machine=workers.Machine(),
        )
    return worker_id


def test_a_browsers_changes_are_recorded_with_its_key_and_session(
    url: str, admin: httpx.Client, admin_key: str
):
    with httpx.Client(base_url=url) as browser:
        signed_in = browser.post("/v1/session", json={"key": admin_key})
        begun = newest(admin)
        assert begun["action"] == ACTIONS["sign_in"]
        assert begun["object"] == begun["session"]
        assert begun["request_id"] == signed_in.headers["x-request-id"]
        browser.headers["X-CSRF-Token"] = signed_in.json()["csrf_token"]
        job = browser.post("/v1/jobs", json={}).json()["id"]
        submitted = newest(admin)
        assert submitted == {
            **begun,
            "id": submitted["id"],
            "at": submitted["at"],
            "action": "job.submit",
            "object": job,
            "request_id": submitted["request_id"],
        }
        assert submitted["key"]["name"] == "read/submit/admin/server"
        assert submitted["address"] == "127.0.0.1"
        assert browser.delete("/v1/session").status_code == 204
    ended = newest(admin)
    assert (ended["action"], ended["object"]) == (ACTIONS["sign_out"], begun["session"])
    admin.post(f"/v1/jobs/{job}/cancel?kill=true")
    killed = newest(admin)
    assert (killed["action"], killed["session"]) == ("job.kill", None)


def test_changes_that_did_not_happen_or_were_repeated_are_not_recorded(admin: httpx.Client):
    headers = {"Idempotency-Key": "once"}
    first, again = (admin.post("/v1/jobs", json={}, headers=headers).json() for _ in range(2))
    assert first == again
    admin.post("/v1/jobs?validate_only=true", json={})
    admin.post("/v1/jobs", json={"name": 7})
    admin.post(f"/v1/jobs/{first['id']}/resume")
    assert admin.delete(f"/v1/jobs/{first['id']}").status_code == 409
    recorded = [each["action"] for each in admin.get("/v1/audit").json()["data"]]
    assert recorded.count("job.submit") == 1
    assert set(recorded) <= {"job.submit", "job.resume"}


def test_records_are_filtered_paged_a_projects_own_and_hold_no_secret(
    url: str, admin: httpx.Client, their_http: httpx.Client, database: Database
):
    made = [
        admin.post("/v1/keys", json={"name": f"{n}", "scopes": ["submit"]}).json() for n in range(3)
    ]
    admin.delete(f"/v1/keys/{made[0]['id']}")
    with client(url, made[2]["key"]) as submitter:
        job = submitter.post("/v1/jobs", json={}).json()["id"]
    pages, after = [], None
    while True:
        asked = {"action": "key.create", "limit": 2, **({"after": after} if after else {})}
        page = admin.get("/v1/audit", params=asked).json()
        pages.append([each["object"] for each in page["data"]])
        if (after := page["next"]) is None:
            break
    assert pages == [[made[2]["id"], made[1]["id"]], [made[0]["id"]]]
    of_first = admin.get("/v1/audit", params={"object": made[0]["id"]}).json()["data"]
    assert [each["action"] for each in of_first] == ["key.revoke", "key.create"]
    of_key = admin.get("/v1/audit", params={"by": made[2]["id"]}).json()["data"]
    assert [(each["action"], each["object"]) for each in of_key] == [("job.submit", job)]
    assert admin.get("/v1/audit?action=job.eat").status_code == 422
    assert their_http.get("/v1/audit").json()["data"] == []
    with database.session() as session:
        rows = session.scalars(text("select to_jsonb(r)::text from audit_records r")).all()
    assert not any(key["key"] in row for key in made for row in rows)


def test_old_records_are_forgotten(admin: httpx.Client, database: Database):
    for _ in range(2):
        admin.post("/v1/jobs", json={})
    old = newest(admin)
    with database.session() as session:
        aged = update(AuditRecord).where(AuditRecord.id == decode("aud", old["id"]))
        session.execute(aged.values(at=func.now() - timedelta(days=366)))
    with database.session() as session:
        assert audit.forget_old(session, keep_days=365) == 1
    left = [each["id"] for each in admin.get("/v1/audit").json()["data"]]
    assert len(left) == 1
    assert old["id"] not in left
