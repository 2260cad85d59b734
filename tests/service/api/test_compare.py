"""Comparison of jobs: curves over cost, and savings."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from store.ids import encode
from store.jobs.outcomes import Failed
from tests.service.api.hand import Hand

ERROR = {"code": "nan_loss", "message": "it has run long enough", "hint": ""}


@pytest.fixture
def trained(http: httpx.Client, claims: Callable[[], Hand]) -> Callable[..., str]:
    """Run a job, evaluated before its first step and after each; costs are per step."""

    def train(group_size: int, *, rollouts: int, seconds: float, scores: list[float]) -> str:
        spec = {"algorithm": {"group_size": group_size}, "resources": {"max_failures": 1}}
        http.post("/v1/jobs", json=spec)
        hand = claims()
        for step, score in enumerate(scores):
            if step:
                so_far = {"num_rollouts": rollouts * step, "num_tokens": 10 * rollouts * step}
                hand.step(step, step_time=seconds, **so_far)
            hand.ship(hand.entry("eval", {"eval/accuracy": score}, step))
        hand.finish(Failed(ERROR, retryable=False))
        return encode("job", hand.claim.job_id)

    return train


def compared(http: httpx.Client, *jobs: str, **more: Any) -> dict[str, Any]:
    answer = http.get("/v1/compare", params={"jobs": ",".join(jobs), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_score_kept_and_cost_saved_by_two_rollouts_against_sixteen(
    http: httpx.Client, trained: Callable[..., str]
):
    two = trained(2, rollouts=64, seconds=1.0, scores=[0.2, 0.4, 0.735])
    sixteen = trained(16, rollouts=512, seconds=5.0, scores=[0.2, 0.5, 0.75])
    found = compared(http, two, sixteen)
    assert found["baseline"] == sixteen
    first, base = found["jobs"]
    assert (first["id"], first["group_size"], first["status"]) == (two, 2, "failed")
    assert first["step"] == first["x"] == [0, 1, 2]
    assert first["measured"] == {"score": 0.735, "rollouts": 128, "tokens": 1280, "seconds": 2}
    assert first["score_kept"] == pytest.approx(0.98)
    assert first["rollouts_saved"] == pytest.approx(0.875)
    assert first["time_saved"] == pytest.approx(0.8)
    assert (base["score_kept"], base["rollouts_saved"], base["time_saved"]) == (1, 0, 0)
    turned = compared(http, two, sixteen, baseline=two)["jobs"][1]
    assert turned["rollouts_saved"] == pytest.approx(1 - 8)


@pytest.mark.parametrize(
    ("axis", "x"),
    [
        ("step", [0, 1, 2]),
        ("rollouts", [0, 64, 128]),
        ("tokens", [0, 640, 1280]),
        ("seconds", [0, 1.5, 3]),
    ],
)
def test_curves_can_be_drawn_over_a_runs_cost(
    http: httpx.Client, trained: Callable[..., str], axis: str, x: list[float]
):
    job = trained(2, rollouts=64, seconds=1.5, scores=[0.2, 0.4, 0.6])
    (curve,) = compared(http, job, x=axis)["jobs"]
    assert (curve["x"], curve["value"]) == (x, [0.2, 0.4, 0.6])


def test_a_step_that_was_done_twice_costs_once(http: httpx.Client, claims: Callable[[], Hand]):
    http.post("/v1/jobs", json={})
    hand = claims()
    hand.step(1, step_time=100.0, num_rollouts=64)
    hand.finish(Failed({**ERROR, "code": "disk_full"}, retryable=True))
    again = claims()
    again.step(1, step_time=1.0, num_rollouts=64)
    again.ship(again.entry("eval", {"eval/accuracy": 0.5}, 1))
    (curve,) = compared(http, encode("job", again.claim.job_id), x="seconds")["jobs"]
    assert curve["x"] == [1.0]


def test_a_job_that_has_measured_nothing_has_an_empty_curve(http: httpx.Client):
    job = http.post("/v1/jobs", json={}).json()["id"]
    (found,) = compared(http, job)["jobs"]
    assert (found["x"], found["measured"]["score"], found["score_kept"]) == ([], None, None)


def test_jobs_that_cannot_be_compared_are_refused(http: httpx.Client, their_http: httpx.Client):
    ours = http.post("/v1/jobs", json={}).json()["id"]
    theirs = their_http.post("/v1/jobs", json={}).json()["id"]
    answer = http.get("/v1/compare", params={"jobs": f"{ours},{theirs}"})
    assert answer.status_code == 404
    for wrong in ({"jobs": "job_1"}, {"jobs": ours, "x": "hours"}, {"jobs": ours, "baseline": "x"}):
        answer = http.get("/v1/compare", params=wrong)
        assert answer.status_code == 422
        named = answer.json()["errors"][0]["parameter"]
        assert named == list(wrong)[-1]
