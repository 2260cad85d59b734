"""Actions on a job over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.ids import decode, encode
from store.jobs import checkpoints
from store.jobs.outcomes import Stopped
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit
from tests.waiting import wait_until

Claims = Callable[[], Hand]


def test_a_queued_job_is_paused_and_resumed(http: httpx.Client):
    path = f"/v1/jobs/{submit(http)['id']}"
    paused = http.post(f"{path}/pause")
    assert paused.status_code == 200
    assert (paused.json()["status"], paused.json()["wanted"]) == ("paused", "pause")
    assert paused.json()["status_reason"] == "paused by read/submit"
    assert paused.json()["queue"] is None
    assert http.post(f"{path}/pause").json() == paused.json()
    resumed = http.post(f"{path}/resume")
    assert resumed.status_code == 200
    assert (resumed.json()["status"], resumed.json()["wanted"]) == ("queued", "run")
    assert resumed.json()["queue"]["position"] == 1
    assert [moment["status"] for moment in resumed.json()["timeline"]] == [
        "queued",
        "paused",
        "queued",
    ]
    assert http.post(f"{path}/resume").json() == resumed.json()


def test_a_running_job_is_asked_to_pause(http: httpx.Client, claims: Claims):
    path = f"/v1/jobs/{submit(http)['id']}"
    hand = claims()
    asked = http.post(f"{path}/pause").json()
    assert (asked["status"], asked["wanted"]) == ("running", "pause")
    assert hand.ship() == "pause"
    assert http.post(f"{path}/resume").json()["wanted"] == "run"
    assert hand.ship() == "run"
    http.post(f"{path}/pause")
    hand.finish(Stopped())
    assert http.get(path).json()["status"] == "paused"


def test_an_ended_job_is_neither_paused_nor_resumed(http: httpx.Client):
    path = f"/v1/jobs/{submit(http)['id']}"
    http.post(f"{path}/cancel")
    for move in ("pause", "resume"):
        answer = http.post(f"{path}/{move}")
        assert answer.status_code == 409
        assert answer.json()["code"] == "conflict"
        assert "has ended (cancelled)" in answer.json()["detail"]


def test_a_jobs_name_labels_and_priority_are_changed(http: httpx.Client, claims: Claims):
    path = f"/v1/jobs/{submit(http, labels={'a': '1'})['id']}"
    changed = http.patch(path, json={"name": "größer", "labels": {"b": "2"}, "priority": -3})
    assert changed.status_code == 200, changed.text
    seen = http.get(path).json()
    assert seen == changed.json()
    assert (seen["name"], seen["labels"]) == ("größer", {"b": "2"})
    assert (seen["spec"]["name"], seen["spec"]["resources"]["priority"]) == ("größer", -3)
    assert http.patch(path, json={}).json() == seen
    claims()
    assert http.patch(path, json={"priority": 4}).status_code == 409
    assert http.patch(path, json={"name": "new", "labels": {}}).json()["labels"] == {}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"nmae": "x"}, "/nmae"),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"labels": {"a": 1}}, "/labels/a"),
        ({"labels": {"a": "\0"}}, "/labels/a"),
        ({"priority": 101}, "/priority"),
        ({"priority": None}, "/priority"),
    ],
)
def test_a_change_that_cannot_be_is_refused_whole(
    http: httpx.Client, change: dict[str, Any], pointer: str
):
    path = f"/v1/jobs/{submit(http)['id']}"
    before = http.get(path).json()
    answer = http.patch(path, json={"name": "new", **change})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert http.get(path).json() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name": "\\ud800"}', 422),
        (b'{"labels": {"\\ud800": "a"}}', 422),
        (b"[]", 400),
        (b"{", 400),
        (b'{"name": "' + b"x" * 1024 * 1024 + b'"}', 413),
    ],
)
def test_an_empty_or_invalid_change_is_refused(http: httpx.Client, body: bytes, status: int):
    path = f"/v1/jobs/{submit(http)['id']}"
    assert http.patch(path, content=body).status_code == status


def test_an_ended_job_is_retried_once_for_each_key(http: httpx.Client, claims: Claims):
    first = submit(http, name="again", budget={"max_steps": 5})
    path = f"/v1/jobs/{first['id']}"
    assert http.post(f"{path}/retry").status_code == 409
    http.post(f"{path}/cancel")
    keyed = {"Idempotency-Key": "k"}
    answer = http.post(f"{path}/retry", headers=keyed)
    assert answer.status_code == 201, answer.text
    again = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{again['id']}"
    assert http.get(answer.headers["location"]).json() == again
    assert (again["retry_of"], again["start_checkpoint"]) == (first["id"], None)
    assert (again["spec"], again["status"]) == (first["spec"], "queued")
    assert again["progress"] == first["progress"]
    assert again["timeline"][0]["reason"] == (
        f"retry of {first['id']} from the beginning, by read/submit"
    )
    replayed = http.post(f"{path}/retry", headers=keyed)
    assert (replayed.status_code, replayed.content) == (201, answer.content)
    assert replayed.headers["idempotent-replayed"] == "true"
    assert http.post(f"{path}/retry").json()["id"] != again["id"]
    assert len(http.get("/v1/jobs").json()["data"]) == 3


def test_a_retry_begins_from_the_last_checkpoint(
    http: httpx.Client, claims: Claims, tmp_path: Path
):
    first = submit(http)
    hand = claims()
    saved = hand.checkpoint(8, {"model.safetensors": b"weights"}, tmp_path / "step-8")
    http.post(f"/v1/jobs/{first['id']}/cancel")
    hand.finish(Stopped())
    again = http.post(f"/v1/jobs/{first['id']}/retry").json()
    assert again["start_checkpoint"] == encode("ckpt", saved)
    claim = claims().claim
    assert claim.resume is not None
    assert (encode("job", claim.job_id), claim.resume.step) == (again["id"], 8)


def test_a_job_whose_file_has_gone_is_not_retried(http: httpx.Client):
    rows = b'{"question": "1+1=", "answer": "2"}\n'
    file = http.post("/v1/files", files={"file": ("rows.jsonl", rows)}).json()["id"]
    path = f"/v1/jobs/{submit(http, data={'train': file, 'eval': None})['id']}"
    http.post(f"{path}/cancel")
    assert http.delete(f"/v1/files/{file}").status_code == 204
    answer = http.post(f"{path}/retry")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/data/train"]


def saved_job(http: httpx.Client, claims: Claims, folder: Path, **spec: object) -> tuple[str, str]:
    """A running job with a checkpoint: its address, and the checkpoint's id."""
    path = f"/v1/jobs/{submit(http, **spec)['id']}"
    config = b'{"max_position_embeddings": 512}'
    saved = claims().checkpoint(8, {"config.json": config}, folder / "step-8")
    return path, encode("ckpt", saved)


def test_a_fork_starts_from_the_checkpoint_with_its_jobs_spec_but_for_the_overrides(
    http: httpx.Client, claims: Claims, tmp_path: Path
):
    path, checkpoint = saved_job(
        http, claims, tmp_path, preset="demo", labels={"a": "1"}, budget={"max_steps": 9}
    )
    first = http.get(path).json()
    fork = {"checkpoint": checkpoint, "overrides": {"optimizer": {"learning_rate": 0.5}}}
    keyed = {"Idempotency-Key": "k"}
    answer = http.post(f"{path}/fork", json=fork, headers=keyed)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["spec"] == first["spec"] | {
        "model": first["spec"]["model"] | {"source": checkpoint},
        "optimizer": first["spec"]["optimizer"] | {"learning_rate": 0.5},
    }
    assert (made["labels"], made["status"]) == ({"a": "1"}, "queued")
    assert (made["retry_of"], made["start_checkpoint"], made["progress"]["step"]) == (None, None, 0)
    assert made["status_reason"] == f"fork of {first['id']} at step 8, by read/submit"
    assert http.post(f"{path}/fork", json=fork, headers=keyed).content == answer.content
    other = http.post(f"{path}/fork", json=fork | {"overrides": {}}, headers=keyed)
    assert other.json()["code"] == "idempotency_key_reused"
    assert len(http.get("/v1/jobs").json()["data"]) == 2


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"checkpoint": "ckpt_" + "0" * 32}, "/checkpoint"),
        ({"checkpoint": "file_" + "0" * 32}, "/checkpoint"),
        ({"checkpoint": None}, "/checkpoint"),
        ({"overides": {}}, "/overides"),
        ({"overrides": {"optimizer": {"learning_rate": -1}}}, "/overrides/optimizer/learning_rate"),
        ({"overrides": {"sed": 1}}, "/overrides/sed"),
        ({"overrides": {"model": 3}}, "/overrides/model"),
        ({"overrides": {"model": {"source": "tiny-arithmetic"}}}, "/overrides/model/source"),
        ({"overrides": {"preset": "demo"}}, "/overrides/preset"),
        ({"overrides": {"rollout": {"max_tokens": 9999}}}, "/overrides/rollout/max_tokens"),
        ({"overrides": {"name": "\0"}}, "/overrides/name"),
    ],
)
def test_a_fork_that_cannot_work_names_the_field(
    http: httpx.Client, claims: Claims, tmp_path: Path, change: dict[str, Any], pointer: str
):
    path, checkpoint = saved_job(http, claims, tmp_path, preset="demo")
    answer = http.post(f"{path}/fork", json={"checkpoint": checkpoint, **change})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_fork_takes_only_its_own_jobs_checkpoints(
    http: httpx.Client, claims: Claims, tmp_path: Path
):
    _, checkpoint = saved_job(http, claims, tmp_path, preset="demo")
    other = submit(http, preset="demo")["id"]
    answer = http.post(f"/v1/jobs/{other}/fork", json={"checkpoint": checkpoint})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/checkpoint"


def test_a_damaged_checkpoint_is_not_forked(
    http: httpx.Client, claims: Claims, tmp_path: Path, database: Database
):
    path, checkpoint = saved_job(http, claims, tmp_path, preset="demo")
    with database.session() as session:
        checkpoints.mark_damaged(session, decode("ckpt", checkpoint))
    answer = http.post(f"{path}/fork", json={"checkpoint": checkpoint})
    assert answer.status_code == 409
    assert "is damaged" in answer.json()["detail"]


def test_a_deleted_job_takes_its_files_with_it(
    http: httpx.Client, claims: Claims, tmp_path: Path, artifacts: FolderArtifacts
):
    job = submit(http, preset="demo")["id"]
    path, stored = f"/v1/jobs/{job}", artifacts.path(f"jobs/{job}")
    hand = claims()
    saved = hand.checkpoint(8, {"config.json": b"{}"}, tmp_path / "step-8")
    assert http.delete(path).status_code == 409
    hand.finish()
    fork = http.post(f"{path}/fork", json={"checkpoint": encode("ckpt", saved)}).json()["id"]
    refused = http.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert fork in refused.json()["detail"]
    http.post(f"/v1/jobs/{fork}/cancel")
    assert stored.is_dir()
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404
    assert http.get(f"/v1/checkpoints/{encode('ckpt', saved)}").status_code == 404
    assert http.delete(path).status_code == 404
    wait_until(lambda: not stored.exists())  # the files go after the answer


def test_transitions_need_the_scope_submit_and_an_own_job(
    http: httpx.Client, their_http: httpx.Client, reading_http: httpx.Client
):
    path = f"/v1/jobs/{submit(http)['id']}"
    before = http.get(path).json()
    for method, move, body in MOVES:
        address = f"{path}{move}"
        assert their_http.request(method, address, json=body).status_code == 404, move
        assert reading_http.request(method, address, json=body).status_code == 403, move
    assert http.get(path).json() == before


MOVES = [
    ("POST", "/pause", None),
    ("POST", "/resume", None),
    ("POST", "/retry", None),
    ("POST", "/fork", {"checkpoint": "ckpt_" + "0" * 32}),
    ("PATCH", "", {"name": "theirs"}),
    ("DELETE", "", None),
]
