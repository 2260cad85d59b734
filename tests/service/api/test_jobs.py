"""Jobs over HTTP: submitted, listed, read, cancelled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest

from store.jobs.outcomes import Failed, Stopped
from tests.service.api.hand import Hand

Claims = Callable[[], Hand]


def submit(http: httpx.Client, **spec: object) -> dict:
    answer = http.post("/v1/jobs", json=spec)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_submitted_job_is_queued_and_shows_what_it_waits_for(http: httpx.Client):
    first, second = submit(http, name="erste 🥇"), submit(http, name="第二")
    assert first["name"] == "erste 🥇"
    assert (first["status"], first["wanted"], first["attempt"]) == ("queued", "run", 0)
    assert first["queue"] == {
        "position": 1,
        "waiting_for": "a worker for queue 'default'",
        "since": first["created_at"],
    }
    assert second["queue"]["position"] == 2
    assert first["progress"] == {
        "step": 0,
        "total_steps": first["progress"]["total_steps"],
        "fraction": 0.0,
        "seconds_left": None,
    }
    assert [moment["status"] for moment in first["timeline"]] == ["queued"]
    assert first["owner"] == "read/submit"
    assert first["error"] is None


def test_the_location_header_is_the_jobs_address(http: httpx.Client):
    answer = http.post("/v1/jobs", json={})
    assert http.get(answer.headers["location"]).json() == answer.json()


def test_the_answer_holds_the_resolved_spec(http: httpx.Client):
    spec = submit(http, preset="16-grpo", optimizer={"warmup_steps": 3})["spec"]
    assert spec["preset"] == "16-grpo"
    assert spec["algorithm"]["group_size"] == 16
    assert spec["optimizer"] == spec["optimizer"] | {"learning_rate": "auto", "warmup_steps": 3}


def test_a_running_job_shows_how_far_it_is(http: httpx.Client, claims: Claims):
    job = submit(http, budget={"max_steps": 4})["id"]
    hand = claims()
    hand.ship(hand.entry("phase", {"phase": "training"}))
    hand.step(1, reward=0.25)
    seen = http.get(f"/v1/jobs/{job}").json()
    assert (seen["status"], seen["phase"], seen["attempt"]) == ("running", "training", 1)
    assert seen["progress"] == {
        "step": 1,
        "total_steps": 4,
        "fraction": 0.25,
        "seconds_left": 6.0,  # three steps of two seconds
    }
    assert seen["latest_metrics"] == {"reward": 0.25, "step_time": 2.0}
    assert seen["queue"] is None
    assert seen["started_at"] is not None


def test_a_jobs_run_time_counts_only_its_attempts(http: httpx.Client, claims: Claims):
    job = submit(http)["id"]

    def seen() -> tuple[float, str | None]:
        told = http.get(f"/v1/jobs/{job}").json()
        [listed] = http.get("/v1/jobs").json()["data"]
        assert (listed["ran_seconds"], listed["running_since"]) == (
            told["ran_seconds"],
            told["running_since"],
        )
        return told["ran_seconds"], told["running_since"]

    assert seen() == (0, None)
    for ended in range(2):
        hand = claims()
        before, since = seen()
        [*_, attempt] = http.get(f"/v1/jobs/{job}/attempts").json()["data"]
        assert since == attempt["started_at"]
        assert (before > 0) == (ended > 0)
        hand.finish(Stopped() if ended == 0 else None)
    attempts = http.get(f"/v1/jobs/{job}/attempts").json()["data"]
    seconds = [
        (datetime.fromisoformat(one["ended_at"]) - datetime.fromisoformat(one["started_at"]))
        for one in attempts
    ]
    assert len(attempts) == 2
    assert seen() == (pytest.approx(sum(each.total_seconds() for each in seconds)), None)


def test_a_failed_job_shows_the_reason_and_what_to_do(http: httpx.Client, claims: Claims):
    job = submit(http)["id"]
    error = {"code": "reward_failed", "message": "reward 'number': ☠", "hint": "mend row 3"}
    claims().finish(Failed(error=error, retryable=False), log_tail="Traceback\nZeile ☠\n")
    seen = http.get(f"/v1/jobs/{job}").json()
    assert seen["status"] == "failed"
    assert seen["error"] == error | {"log_tail": "Traceback\nZeile ☠\n"}
    assert seen["finished_at"] is not None
    assert [moment["status"] for moment in seen["timeline"]] == ["queued", "running", "failed"]


def test_an_unchanged_job_is_not_sent_again(http: httpx.Client, claims: Claims):
    path = http.post("/v1/jobs", json={}).headers["location"]
    etag = http.get(path).headers["etag"]
    again = http.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content) == (304, b"")
    claims()
    changed = http.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_a_queued_job_is_cancelled_at_once(http: httpx.Client):
    job = submit(http)["id"]
    answer = http.post(f"/v1/jobs/{job}/cancel")
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["status_reason"] == "cancelled by read/submit"
    again = http.post(f"/v1/jobs/{job}/cancel")
    assert again.status_code == 409
    assert again.json()["code"] == "conflict"


def test_a_running_job_is_asked_to_end_and_may_then_be_killed(http: httpx.Client, claims: Claims):
    job = submit(http)["id"]
    hand = claims()
    asked = http.post(f"/v1/jobs/{job}/cancel").json()
    assert (asked["status"], asked["wanted"]) == ("running", "cancel")
    assert http.post(f"/v1/jobs/{job}/cancel?kill=true").json()["wanted"] == "kill"
    assert http.post(f"/v1/jobs/{job}/cancel").json()["wanted"] == "kill"
    assert hand.ship() == "kill"
    hand.finish(Stopped())
    assert http.get(f"/v1/jobs/{job}").json()["status"] == "cancelled"


def test_jobs_are_listed_newest_first_in_pages(http: httpx.Client):
    made = [submit(http, name=f"n{n}")["id"] for n in range(5)]
    found: list[str] = []
    after: str | None = None
    while True:
        params = {"limit": 2} | ({"after": after} if after else {})
        answer = http.get("/v1/jobs", params=params)
        found += [job["id"] for job in answer.json()["data"]]
        after = answer.json()["next"]
        assert ("next" in answer.links) == (after is not None)
        if after is None:
            break
        follow = http.get(answer.links["next"]["url"])
        assert follow.json()["data"][0]["id"] not in found
    assert found == made[::-1]


def test_jobs_are_found_by_status_label_and_text(http: httpx.Client, claims: Claims):
    plain = submit(http, name="plain")["id"]
    claims()
    labelled = submit(http, name="Größe 100%", labels={"größe": "1:2"})["id"]

    def found(**params: str | list[str]) -> list[str]:
        answer = http.get("/v1/jobs", params=params)
        assert answer.status_code == 200, answer.text
        return [job["id"] for job in answer.json()["data"]]

    assert found(status="running") == [plain]
    assert found(status=["running", "queued"]) == [labelled, plain]
    assert found(status="failed") == []
    assert found(label="größe:1:2") == [labelled]
    assert found(text="größe 100%") == [labelled]
    assert found(text="1_0") == []
    assert found(model="tiny-arithmetic", sort="created_at") == [plain, labelled]
    assert found(model="tiny") == []
    assert found(sort="name", limit="1") == [labelled]
    assert found(sort="name", after=labelled) == [plain]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("status=done", "status"),
        ("label=x", "label"),
        ("statuss=queued", "statuss"),
        ("text=%00", "text"),
        ("sort=age", "sort"),
    ],
)
def test_a_wrong_parameter_is_named(http: httpx.Client, query: str, parameter: str):
    answer = http.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize("job", ["job_" + "0" * 32, "job_x", "x", "file_" + "0" * 32, "%00"])
def test_an_unknown_job_is_not_found(http: httpx.Client, job: str):
    answer = http.get(f"/v1/jobs/{job}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
    assert http.get(f"/v1/jobs?after={job}").status_code in (200, 404, 422)


def test_another_projects_job_is_not_there(
    http: httpx.Client, their_http: httpx.Client, claims: Claims
):
    job = submit(http)["id"]
    claims()
    base = f"/v1/jobs/{job}"
    parts = ("records", "attempts", "metrics", "samples", "logs", "checkpoints", "stream")
    for path in (base, *(f"{base}/{part}" for part in parts)):
        assert their_http.get(path).status_code == 404, path
    assert their_http.post(f"{base}/cancel").status_code == 404
    assert their_http.get("/v1/jobs").json()["data"] == []
    assert http.get(base).json()["wanted"] == "run"


KEYED = {"Idempotency-Key": "ein Schlüssel".encode().hex()}


def test_the_same_key_and_body_make_one_job(http: httpx.Client):
    first = http.post("/v1/jobs", json={"name": "ü"}, headers=KEYED)
    again = http.post("/v1/jobs", json={"name": "ü"}, headers=KEYED)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(http.get("/v1/jobs").json()["data"]) == 1


def test_fifty_simultaneous_duplicates_make_one_job(http: httpx.Client):
    def post(_: int) -> httpx.Response:
        return http.post("/v1/jobs", json={"name": "once"}, headers=KEYED)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(http.get("/v1/jobs").json()["data"]) == 1


def test_a_key_with_another_body_is_refused(http: httpx.Client):
    http.post("/v1/jobs", json={"name": "a"}, headers=KEYED)
    other = http.post("/v1/jobs", json={"name": "b"}, headers=KEYED)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"


def test_a_refused_submission_does_not_use_up_its_key(http: httpx.Client):
    assert http.post("/v1/jobs", json={"preset": "x"}, headers=KEYED).status_code == 422
    assert http.post("/v1/jobs", json={}, headers=KEYED).status_code == 201


def test_idempotency_keys_of_two_projects_are_independent(
    http: httpx.Client, their_http: httpx.Client
):
    ours = http.post("/v1/jobs", json={}, headers=KEYED).json()["id"]
    theirs = their_http.post("/v1/jobs", json={}, headers=KEYED).json()["id"]
    assert ours != theirs
