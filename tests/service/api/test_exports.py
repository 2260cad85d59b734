"""Exports of a run: metrics as CSV and JSON lines, preference pairs."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
from sqlalchemy import insert

from grpo.reporting.records import write_rollouts
from store import ids
from store.database.database import Database
from store.log import metric_rows
from store.tables import Record
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit
from tests.service.api.test_log import LOST
from tests.unit.test_pairs import rows

Claims = Callable[[], Hand]


def test_metrics_as_csv_have_a_row_for_each_live_step(
    http: httpx.Client, claims: Claims, tmp_path: Path
):
    job = rolled_out_job(http, claims, tmp_path)
    answer = http.get(f"/v1/jobs/{job}/metrics.csv", params={"names": "reward,nothing,step_time"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{job}-metrics.csv"'
    assert answer.text == (
        "step,reward,nothing,step_time\r\n1,0.1,,2.0\r\n2,2.0,,2.0\r\n3,3.0,,2.0\r\n"
    )


def test_metrics_as_json_lines_have_one_object_per_step_and_mark_non_finite_values(
    http: httpx.Client, claims: Claims
):
    job = submit(http)["id"]
    hand = claims()
    hand.step(1, grad_norm=math.nan)
    hand.ship(hand.entry("eval", {"eval/accuracy": 0.25}, 1))
    hand.step(7)
    lines = [json.loads(x) for x in http.get(f"/v1/jobs/{job}/metrics.jsonl").text.splitlines()]
    assert lines == [
        {"step": 1, "reward": 0.5, "step_time": 2, "grad_norm": None, "eval/accuracy": 0.25},
        {"step": 7, "reward": 0.5, "step_time": 2},
    ]
    later = http.get(f"/v1/jobs/{job}/metrics.jsonl?from_step=2&names=reward,reward").text
    assert later == '{"step": 7, "reward": 0.5}\n'


def test_a_job_without_steps_has_an_empty_file(http: httpx.Client):
    job = submit(http)["id"]
    assert http.get(f"/v1/jobs/{job}/metrics.csv").text == "step\r\n"
    assert http.get(f"/v1/jobs/{job}/metrics.jsonl").text == ""
    pairs = http.get(f"/v1/jobs/{job}/pairs.jsonl")
    assert (pairs.status_code, pairs.text) == (200, "")


def test_a_long_run_is_whole_across_windows_or_thinned_as_its_curves_are(
    http: httpx.Client, claims: Claims, database: Database
):
    job = submit(http)["id"]
    claims()
    window = metric_rows.STEPS_A_WINDOW
    steps = [*range(1, window + 2), 5 * window]  # the last one behind windows without a step
    with database.session() as session:
        session.execute(
            insert(Record),
            [
                {
                    "job_id": ids.decode("job", job),
                    "seq": 100 + step,
                    "attempt": 1,
                    "kind": "metric",
                    "step": step,
                    "at": "2026-01-01T00:00:00Z",
                    "payload": {"reward": -step if step == 500 else step},
                }
                for step in steps
            ],
        )
    found = list(csv.DictReader(io.StringIO(http.get(f"/v1/jobs/{job}/metrics.csv").text)))
    assert [int(row["step"]) for row in found] == steps
    few = {"names": "reward", "max_points": 10}
    thinned = http.get(f"/v1/jobs/{job}/metrics.jsonl", params=few).text.splitlines()
    curve = http.get(f"/v1/jobs/{job}/metrics", params=few).json()["metrics"]["reward"]
    assert [(p["step"], p["reward"]) for p in map(json.loads, thinned)] == list(
        zip(curve["step"], curve["value"], strict=True)
    )
    assert {"step": 500, "reward": -500} in map(json.loads, thinned)


def rolled_out_job(http: httpx.Client, claims: Claims, folder: Path) -> str:
    """Steps 1 to 4 by attempt 1; then 2, and 3 with only ties, by attempt 2, which resumes
    from step 1."""
    job = submit(http)["id"]
    first = claims()
    for step in (1, 2, 3, 4):
        put_rollouts(first, step, [1, 0], folder / "1")
        first.step(step, reward=step / 10)
        if step == 1:
            first.checkpoint(1, {"model.safetensors": b"1"}, folder / "checkpoint")
    first.finish(LOST)
    second = claims()
    for step, rewards in ((2, [0.25, 0.5]), (3, [1, 1])):
        put_rollouts(second, step, rewards, folder / "2")
        second.step(step, reward=step)
    return job


def put_rollouts(hand: Hand, step: int, rewards: Sequence[float], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    outcome = "tied" if len(set(rewards)) == 1 else "mixed"
    write_rollouts(folder, step=step, rows=rows(step, 0, list(rewards), outcome))
    name = f"step-{step:06d}.jsonl.zst"
    hand.artifacts.put_file(folder / name, f"{hand.folder}/rollouts/{name}")


def test_pairs_come_from_live_steps_only(
    http: httpx.Client, their_http: httpx.Client, claims: Claims, tmp_path: Path
):
    job = rolled_out_job(http, claims, tmp_path)
    answer = http.get(f"/v1/jobs/{job}/pairs.jsonl")
    assert answer.headers["content-type"] == "application/jsonl"
    assert answer.headers["content-disposition"] == f'attachment; filename="{job}-pairs.jsonl"'
    first, second = map(json.loads, answer.text.splitlines())
    assert first == {
        "prompt": [{"role": "user", "content": "1+1="}],
        "chosen": [{"role": "assistant", "content": "1.0.0 é\n"}],
        "rejected": [{"role": "assistant", "content": "1.0.1 é\n"}],
        "step": 1,
        "row": 7,
        "source": "sums",
        "reward_chosen": 1,
        "reward_rejected": 0,
    }
    assert second["chosen"] == [{"role": "assistant", "content": "2.0.1 é\n"}]
    assert (second["step"], second["reward_chosen"]) == (2, 0.5)
    assert their_http.get(f"/v1/jobs/{job}/pairs.jsonl").status_code == 404
