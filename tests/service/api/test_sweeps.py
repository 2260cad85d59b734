"""Sweeps over HTTP: jobs that differ in some fields, created all or none."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from store.access.projects import Quota, set_quota
from store.database.database import Database
from store.jobs.outcomes import Failed
from tests.service.api.hand import Hand
from tests.service.duet_process import environment, run_duet

Claims = Callable[[], Hand]
SIZES = {"algorithm.group_size": [2, 4, 8]}


def made(http: httpx.Client, **sweep: object) -> dict:
    answer = http.post("/v1/sweeps", json=sweep)
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(http: httpx.Client, **sweep: object) -> dict[str, str]:
    """Return pointer -> detail; assert that no job was stored."""
    answer = http.post("/v1/sweeps", json=sweep)
    assert answer.status_code == 422, answer.text
    assert http.get("/v1/jobs").json()["data"] == []
    return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}


def test_a_grid_makes_a_job_for_every_combination(http: httpx.Client):
    base = {"name": "sums", "budget": {"max_steps": 3}, "labels": {"who": "me"}}
    grid = {"algorithm.group_size": [2, 4], "optimizer.learning_rate": [1e-5, 2e-5]}
    sweep = made(http, base=base, grid=grid, labels={"paper": "2"})
    assert [job["name"] for job in sweep["jobs"]] == [
        "sums: group_size=2, learning_rate=1e-05",
        "sums: group_size=2, learning_rate=2e-05",
        "sums: group_size=4, learning_rate=1e-05",
        "sums: group_size=4, learning_rate=2e-05",
    ]
    assert sweep["jobs"][2]["differs"] == {
        "algorithm.group_size": 4,
        "optimizer.learning_rate": 1e-5,
    }
    job = http.get(f"/v1/jobs/{sweep['jobs'][2]['id']}").json()
    assert job["labels"] == {"who": "me", "paper": "2", "sweep": sweep["id"]}
    assert job["spec"]["algorithm"]["group_size"] == 4
    assert job["spec"]["budget"]["max_steps"] == 3
    assert job["status_reason"] == f"submitted as one of sweep {sweep['id']}"
    listed = http.get("/v1/jobs", params={"label": f"sweep:{sweep['id']}"}).json()["data"]
    assert [each["id"] for each in listed] == [each["id"] for each in sweep["jobs"][::-1]]


def test_variants_are_laid_upon_the_base(http: httpx.Client):
    variants = [{}, {"preset": "16-grpo", "seed": 7}, {"name": "mine", "labels": {"a": "b"}}]
    sweep = made(http, name="two ways", base={"preset": "2-grpo", "seed": 1}, variants=variants)
    assert [job["name"] for job in sweep["jobs"]] == [
        "two ways",
        "two ways: preset=16-grpo, seed=7",
        "mine",
    ]
    assert [job["differs"]["seed"] for job in sweep["jobs"]] == [1, 7, 1]
    assert [job["differs"]["algorithm.group_size"] for job in sweep["jobs"]] == [2, 16, 2]


def test_a_sweeps_address_shows_the_state_of_each_job(
    http: httpx.Client, their_http: httpx.Client, claims: Claims
):
    answer = http.post("/v1/sweeps", json={"grid": SIZES})
    sweep = answer.json()
    assert answer.headers["location"] == f"/v1/sweeps/{sweep['id']}"
    hand = claims()
    hand.ship(hand.entry("eval", {"eval/accuracy": 0.75}, 1))
    seen = http.get(answer.headers["location"]).json()
    assert [job["status"] for job in seen["jobs"]] == ["running", "queued", "queued"]
    assert [(job["metric"], job["value"]) for job in seen["jobs"]] == [
        ("eval/accuracy", 0.75),
        ("eval/accuracy", None),
        ("eval/accuracy", None),
    ]
    assert their_http.get(answer.headers["location"]).status_code == 404
    assert their_http.post(f"/v1/sweeps/{sweep['id']}/cancel").status_code == 404
    assert http.get("/v1/sweeps/swp_" + "0" * 32).status_code == 404


def test_sweeps_are_listed_page_by_page_with_the_states_of_their_jobs(
    http: httpx.Client, their_http: httpx.Client, claims: Claims
):
    assert http.get("/v1/sweeps").json() == {"data": [], "next": None}
    sweeps = [made(http, name=name, grid=SIZES)["id"] for name in ("a", "b", "c")]
    made(their_http, grid=SIZES)
    # A job alone, and one with a label of that name that is no sweep's id.
    for labels in ({}, {"sweep": "spring"}):
        assert http.post("/v1/jobs", json={"labels": labels}).status_code == 201
    claims()
    http.post(f"/v1/sweeps/{sweeps[1]}/cancel")
    first = http.get("/v1/sweeps", params={"limit": 2})
    assert 'rel="next"' in first.headers["link"]
    rest = http.get("/v1/sweeps", params={"limit": 2, "after": first.json()["next"]}).json()
    assert rest["next"] is None
    listed = [*first.json()["data"], *rest["data"]]
    assert [(each["id"], each["name"], each["jobs"]) for each in listed] == [
        (sweeps[2], "c: group_size=2", {"queued": 3}),
        (sweeps[1], "b: group_size=2", {"cancelled": 3}),
        (sweeps[0], "a: group_size=2", {"queued": 2, "running": 1}),
    ]
    job = http.get("/v1/jobs", params={"text": "c: group_size=2"}).json()["data"][0]
    assert listed[0]["created_at"] == job["created_at"]
    assert http.get("/v1/sweeps", params={"after": "no-id"}).status_code == 404


@pytest.mark.parametrize(
    ("sweep", "pointers"),
    [
        ({"variants": [{}, {"algorithm": {"group_size": 1}}]},
         ["/variants/1/algorithm/group_size"]),
        ({"variants": [{}, {"algoritm": {"group_size": 2}}]}, ["/variants/1/algoritm"]),
        ({"base": {"seed": -1}, "variants": [{}, {"seed": 1}]}, ["/variants/0/seed"]),
        ({"base": {"seed": -1}, "variants": [{}, {"name": "b"}]}, ["/base/seed"]),
        ({"grid": {"algorithm.group_size": [2, 1]}}, ["/grid/algorithm.group_size/1"]),
        ({"grid": {"a/b": [2]}}, ["/grid/a~1b/0"]),
        ({"grid": {"seed": list(range(65))}}, ["/grid"]),
        ({"grid": {"seed": list(range(13)), "optimizer.warmup_steps": [1, 2, 3, 4, 5]}}, ["/grid"]),
        ({"grid": {"seed": []}}, ["/grid"]),
        ({"grid": {}}, ["/grid"]),
        ({}, [""]),
        ({"grid": {"seed": [1]}, "variants": [{}]}, [""]),
        ({"variants": [{}] * 65}, ["/variants"]),
        ({"variants": []}, ["/variants"]),
        ({"grid": {"seed": [1]}, "label": {}}, ["/label"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_an_invalid_sweep_is_refused_with_a_pointer(
    http: httpx.Client, sweep: dict, pointers: list[str]
):
    assert list(refused(http, **sweep)) == pointers


def test_a_quota_counts_all_of_its_jobs(http: httpx.Client, database: Database):
    with database.session() as session:
        set_quota(session, "ours", Quota(max_running=None, max_queued=2))
    answer = http.post("/v1/sweeps", json={"grid": SIZES})
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert http.get("/v1/jobs").json()["data"] == []
    assert len(made(http, grid={"seed": [1, 2]})["jobs"]) == 2


def test_one_idempotency_key_creates_one_sweep(http: httpx.Client):
    headers = {"Idempotency-Key": "k"}
    first = http.post("/v1/sweeps", json={"grid": SIZES}, headers=headers)
    again = http.post("/v1/sweeps", json={"grid": SIZES}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len(http.get("/v1/jobs").json()["data"]) == 3
    other = http.post("/v1/sweeps", json={"grid": {"seed": [1]}}, headers=headers)
    assert other.status_code == 422


def test_validating_stores_nothing(http: httpx.Client):
    answer = http.post("/v1/sweeps?validate_only=true", json={"grid": SIZES})
    assert answer.status_code == 200
    sizes = [job["spec"]["algorithm"]["group_size"] for job in answer.json()["jobs"]]
    assert sizes == [2, 4, 8]
    assert all(job["total_steps"] for job in answer.json()["jobs"])
    assert http.get("/v1/jobs").json()["data"] == []


def test_cancelling_a_sweep_leaves_what_has_ended(http: httpx.Client, claims: Claims):
    sweep = made(http, grid=SIZES)
    first, second = claims(), claims()
    first.finish(Failed(error={"code": "bad_data", "message": "no rows"}, retryable=False))
    second.step(1)
    seen = http.post(f"/v1/sweeps/{sweep['id']}/cancel").json()
    assert [job["status"] for job in seen["jobs"]] == ["failed", "running", "cancelled"]
    wanted = [http.get(f"/v1/jobs/{job['id']}").json()["wanted"] for job in seen["jobs"]]
    assert wanted == ["run", "cancel", "cancel"]
    reasons = [job["status_reason"] for job in seen["jobs"]]
    assert reasons[2] == "cancelled with its sweep by read/submit"
    again = http.post(f"/v1/sweeps/{sweep['id']}/cancel?kill=true")
    assert again.status_code == 200
    assert http.get(f"/v1/jobs/{sweep['jobs'][1]['id']}").json()["wanted"] == "kill"


def test_creating_a_sweep_needs_the_scope_submit(reading_http: httpx.Client):
    assert reading_http.post("/v1/sweeps", json={"grid": SIZES}).status_code == 403


def test_the_command_line_makes_one(url: str, key: str, http: httpx.Client, tmp_path: Path):
    (tmp_path / "spec.yaml").write_text("name: sums\ndata: {train: rows.jsonl}\n")
    (tmp_path / "rows.jsonl").write_text('{"question": "1+1=", "answer": "2"}\n')
    settings = environment(DUET_URL=url, DUET_API_KEY=key)

    def duet(*grid: str) -> CompletedProcess[str]:
        options = [word for field in grid for word in ("--grid", field)]
        return run_duet("sweep", "spec.yaml", *options, cwd=tmp_path, env=settings)

    made = duet("algorithm.group_size=2,4", "seed=7")
    assert made.returncode == 0, made.stderr
    sweep, *jobs = made.stdout.split()
    seen = http.get(f"/v1/sweeps/{sweep}").json()["jobs"]
    assert jobs == [job["id"] for job in seen]
    assert [job["name"] for job in seen] == [f"sums: group_size={n}, seed=7" for n in (2, 4)]
    refused = duet("seed=-1")
    assert (refused.returncode, "/grid/seed/0" in refused.stderr) == (2, True)


def test_a_job_stays_in_its_sweep_whatever_its_labels_become(http: httpx.Client):
    sweep = made(http, base={"labels": {"a": "1"}}, grid={"seed": [1, 2]})
    job = f"/v1/jobs/{sweep['jobs'][0]['id']}"
    assert http.patch(job, json={"labels": {"b": "2"}}).json()["labels"] == {
        "b": "2",
        "sweep": sweep["id"],
    }
    elsewhere = http.patch(job, json={"labels": {"sweep": "swp_other"}})
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "conflict")
    assert sweep["id"] in elsewhere.json()["detail"]
    assert len(http.get(f"/v1/sweeps/{sweep['id']}").json()["jobs"]) == 2
