"""What a user does to a job over HTTP."""

from collections.abc import Callable

import httpx

from store.leases import Stopped
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit

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


def test_moves_need_the_scope_submit_and_a_job_of_ones_own(
    http: httpx.Client, their_http: httpx.Client, reading_http: httpx.Client
):
    path = f"/v1/jobs/{submit(http)['id']}"
    before = http.get(path).json()
    for method, move in MOVES:
        assert their_http.request(method, f"{path}{move}", json={}).status_code == 404, move
        assert reading_http.request(method, f"{path}{move}", json={}).status_code == 403, move
    assert http.get(path).json() == before


MOVES = [("POST", "/pause"), ("POST", "/resume")]
