"""A job's log over HTTP: records, attempts, metrics, samples, the trainer's output."""

import math
from collections.abc import Callable
from pathlib import Path

import httpx

from store.artifacts.folder import FolderArtifacts
from store.jobs.outcomes import Lost
from tests.service.api.hand import Hand, sample
from tests.service.api.test_jobs import submit

LOST = Lost(error={"code": "worker_lost", "message": "its worker is gone", "hint": "wait"})
Claims = Callable[[], Hand]


def resumed_job(http: httpx.Client, claims: Claims, folder: Path) -> str:
    """Steps 1 to 3, lost after a checkpoint at 1, then 2 and 3 once more by attempt 2."""
    job = submit(http, budget={"max_steps": 3})["id"]
    first = claims()
    first.step(1, reward=0.1)
    first.checkpoint(1, {"model.safetensors": b"1"}, folder)
    first.step(2, reward=0.2)
    first.step(3, reward=0.3)
    first.finish(LOST)
    second = claims()
    second.ship(second.entry("resumed", {"from_step": 1}))
    second.step(2, reward=0.4)
    second.step(3, reward=0.5)
    return job


def test_records_come_in_order_in_pages_and_every_live_step_once(
    http: httpx.Client, claims: Claims, tmp_path: Path
):
    job = resumed_job(http, claims, tmp_path / "checkpoint")
    found: list[dict] = []
    path: str | None = f"/v1/jobs/{job}/records?limit=3"
    while path:
        answer = http.get(path)
        found += answer.json()["data"]
        path = answer.links["next"]["url"] if "next" in answer.links else None
    steps = [(r["step"], r["attempt"]) for r in found if r["kind"] == "metric"]
    assert steps == [(1, 1), (2, 2), (3, 2)]
    seqs = [record["seq"] for record in found]
    assert seqs == sorted(set(seqs))
    everything = http.get(f"/v1/jobs/{job}/records?superseded=true").json()["data"]
    assert [record["seq"] for record in everything] == list(range(1, len(everything) + 1))
    kinds = http.get(f"/v1/jobs/{job}/records?kind=checkpoint&kind=resumed").json()["data"]
    assert [record["kind"] for record in kinds] == ["checkpoint", "resumed"]
    after = kinds[0]["seq"]
    rest = http.get(f"/v1/jobs/{job}/records", params={"after": after}).json()["data"]
    assert rest[0]["seq"] > after


def test_attempts_show_how_they_ended_and_where_they_resumed(
    http: httpx.Client, claims: Claims, tmp_path: Path
):
    job = resumed_job(http, claims, tmp_path / "checkpoint")
    first, second = http.get(f"/v1/jobs/{job}/attempts").json()["data"]
    assert (first["attempt"], first["outcome"], first["resumed_from_step"]) == (1, "lost", None)
    assert (second["attempt"], second["outcome"], second["resumed_from_step"]) == (2, None, 1)
    assert second["host"] == "workbench"


def test_metrics_are_the_live_curves(http: httpx.Client, claims: Claims, tmp_path: Path):
    job = resumed_job(http, claims, tmp_path / "checkpoint")
    answer = http.get(f"/v1/jobs/{job}/metrics", params={"names": "reward,nothing"})
    assert answer.json()["metrics"]["reward"] == {"step": [1, 2, 3], "value": [0.1, 0.4, 0.5]}
    later = http.get(f"/v1/jobs/{job}/metrics", params={"names": "reward", "from_step": 3})
    assert later.json() == {"metrics": {"reward": {"step": [3], "value": [0.5]}}}
    assert "step_time" in http.get(f"/v1/jobs/{job}/metrics").json()["metrics"]


def test_a_metric_that_is_not_finite_is_null(http: httpx.Client, claims: Claims):
    job = submit(http)["id"]
    claims().step(1, grad_norm=math.nan)
    curves = http.get(f"/v1/jobs/{job}/metrics", params={"names": "grad_norm"}).json()["metrics"]
    assert curves["grad_norm"]["value"] in ([None], [])
    [record] = http.get(f"/v1/jobs/{job}/records?kind=metric").json()["data"]
    assert record["payload"]["grad_norm"] is None
    assert record["payload"]["nonfinite"] == ["grad_norm"]


def test_samples_are_found_by_step_and_outcome(http: httpx.Client, claims: Claims):
    job = submit(http)["id"]
    hand = claims()
    for step in (1, 2):
        hand.ship(
            hand.entry("sample", sample(step, "2", "3"), step),
            hand.entry("sample", sample(step, "2", "2", outcome="tied"), step),
        )

    def found(**params: str | int) -> list[tuple[int, str]]:
        answer = http.get(f"/v1/jobs/{job}/samples", params=params).json()
        return [(item["step"], item["outcome"]) for item in answer["data"]]

    assert found() == [(1, "mixed"), (1, "tied"), (2, "mixed"), (2, "tied")]
    assert found(step=2) == [(2, "mixed"), (2, "tied")]
    assert found(outcome="tied") == [(1, "tied"), (2, "tied")]
    assert found(step=1, outcome="mixed,tied") == [(1, "mixed"), (1, "tied")]
    first = http.get(f"/v1/jobs/{job}/samples?limit=3").json()
    assert len(first["data"]) == 3
    rest = http.get(f"/v1/jobs/{job}/samples", params={"after": first["next"]}).json()
    assert [item["step"] for item in rest["data"]] == [2]
    assert rest["next"] is None


def test_a_completion_with_a_nul_and_half_a_surrogate_pair_is_shown(
    http: httpx.Client, claims: Claims
):
    job = submit(http)["id"]
    hand = claims()
    text = "vor\0nach \ud83d 🍎 \u2028 \x85 ‮"
    hand.ship(hand.entry("sample", sample(1, text, prompt="NUL\0?"), 1))
    [shown] = http.get(f"/v1/jobs/{job}/samples").json()["data"]
    assert shown["completions"][0]["text"] == "vor␀nach \\ud83d 🍎 \u2028 \x85 ‮"
    assert shown["prompt"] == "NUL␀?"


def test_the_trainers_output_can_be_read_while_it_grows(
    http: httpx.Client, claims: Claims, artifacts: FolderArtifacts, tmp_path: Path
):
    job = submit(http)["id"]
    assert http.get(f"/v1/jobs/{job}/logs").text == ""
    hand = claims()
    assert http.get(f"/v1/jobs/{job}/logs").text == ""
    log = tmp_path / "log.txt"
    printed = "".join(f"Zeile {n} ☃\n" for n in range(20_000))
    for end in (7, len(printed)):
        log.write_text(printed[:end])
        artifacts.put_file(log, f"{hand.folder}/log.txt")
        answer = http.get(f"/v1/jobs/{job}/logs")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text == printed[:end]
    assert http.get(f"/v1/jobs/{job}/logs?tail=2").text == "Zeile 19998 ☃\nZeile 19999 ☃\n"
    long_tail = http.get(f"/v1/jobs/{job}/logs?tail=15000").text
    assert long_tail == "".join(printed.splitlines(keepends=True)[-15_000:])


def test_each_attempt_has_its_own_log(
    http: httpx.Client, claims: Claims, artifacts: FolderArtifacts, tmp_path: Path
):
    job = submit(http)["id"]
    for said in ("first", "second"):
        hand = claims()
        (tmp_path / said).write_text(said)
        artifacts.put_file(tmp_path / said, f"{hand.folder}/log.txt")
        hand.finish(LOST)
    assert http.get(f"/v1/jobs/{job}/logs").text == "second"
    assert http.get(f"/v1/jobs/{job}/logs?attempt=1").text == "first"
    assert http.get(f"/v1/jobs/{job}/logs?attempt=3").status_code == 404
