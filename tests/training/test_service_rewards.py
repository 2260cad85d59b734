"""Runs whose rewards a service computes: a resumed run equals the unbroken one; outages end it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from grpo.evaluate_checkpoint import rate
from grpo.rewards.service.kept_scores import FILE
from grpo.spec.data import DataSource
from tests.reward_service import Asked, Reply, RewardService, reward_service, scored
from tests.training.runs import (
    end_of,
    file_sha256s,
    make_tiny_model,
    records,
    run_here,
    small_spec,
    write_sums,
)
from tests.training.test_resume import EVERY_STEP, same_end

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return make_tiny_model(folder / "model"), write_sums(folder / "sums.jsonl")


def right(item: dict[str, Any]) -> float:
    return float(item["completion"] == item["answer"])


def of(service: RewardService, **settings: Any) -> dict[str, Any]:
    reward = {"type": "http", "url": service.url, "tries": 1, "correctness": True, **settings}
    return {**EVERY_STEP, "rewards": [reward]}


def services(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("services/")}


def test_a_run_resumed_from_any_step_equals_the_unbroken_one_whatever_the_service_says_now(
    inputs: tuple[Path, Path], tmp_path: Path
):
    noise = random.Random(0)

    def answering(asked: Asked) -> Reply:  # never the same twice
        return scored(asked, lambda _: noise.random())

    with reward_service(answering) as service:
        spec = small_spec(*inputs, **of(service))
        unbroken = run_here(spec, tmp_path / "unbroken")
        num_asked = len(service.asked)
        for step in (1, 3):
            checkpoint = unbroken / f"checkpoints/step-{step:06d}"
            folder = tmp_path / f"from-{step}"
            run_here(spec, folder, resume_from=checkpoint, earlier=[unbroken])
            same_end(folder, unbroken, from_step=step)
        assert len(service.asked) == num_asked  # nothing was asked for again
    end = unbroken / "checkpoints/step-000004"
    assert FILE in file_sha256s(end)


def test_a_checkpoint_alone_gives_the_same_run_where_the_service_is_consistent(
    inputs: tuple[Path, Path], tmp_path: Path
):
    with reward_service(lambda asked: scored(asked, right)) as service:
        spec = small_spec(*inputs, **of(service))
        unbroken = run_here(spec, tmp_path / "unbroken")
        checkpoint = unbroken / "checkpoints/step-000002"
        resumed = run_here(spec, tmp_path / "resumed", resume_from=checkpoint)
        same_end(resumed, unbroken, from_step=2)
        steps = {one["step"]: services(one["payload"]) for one in records(unbroken, "metric")}
        again = {one["step"]: services(one["payload"]) for one in records(resumed, "metric")}
        for step in (3, 4):
            for count in ("num_asked", "num_cached"):
                name = f"services/http/{count}"
                assert steps[step][name] == again[step][name]
        first, last = steps[1], steps[4]
        assert first["services/http/num_asked"] > 0
        assert first["services/http/num_requests"] >= 1
        assert first["services/http/request_seconds"] > 0
        assert last["services/http/num_cached"] > 0  # a tiny model repeats itself
        evaluated = records(unbroken, "eval")[-1]["payload"]
        assert "eval/services/http/num_cached" in evaluated

        sent = len(service.asked)
        sources = [DataSource(source=str(inputs[1]))]
        rated = rate(
            spec, unbroken / "checkpoints/step-000004", sources=sources, allow_python=False
        )
        assert rated["eval/accuracy"] == evaluated["eval/accuracy"]
        assert len(service.asked) == sent  # an evaluation is not paid twice


def test_a_step_and_job_are_told_and_an_evaluation_has_no_step(
    inputs: tuple[Path, Path], tmp_path: Path
):
    with reward_service(lambda asked: scored(asked, right)) as service:
        run_here(small_spec(*inputs, **of(service)), tmp_path / "run")
    steps = {asked.json["data"]["step"] for asked in service.asked}
    assert {1, None} <= steps <= {1, 2, 3, 4, None}


def test_groups_go_on_beside_failed_scores_and_are_counted(
    inputs: tuple[Path, Path], tmp_path: Path
):
    def answering(asked: Asked) -> Reply:
        if asked.json["data"]["step"] == 2 and "0+0" in asked.body.decode():
            return Reply(b"broken")
        return scored(asked, right)

    with reward_service(answering) as service:
        loose = {"scoring": {"max_failures": None}}
        spec = small_spec(*inputs, **of(service, batch_size=4), **loose)
        run = run_here(spec, tmp_path / "run")
    skipped = [one["payload"]["groups/num_skipped"] for one in records(run, "metric")]
    assert sum(skipped) == skipped[1] > 0
    told = [one["payload"]["text"] for one in records(run, "message")]
    assert any("not JSON" in text for text in told)


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(503, "reward_unavailable", True), (401, "reward_failed", False)],
)
def test_a_service_that_is_away_ends_the_attempt_and_one_that_refuses_the_job(
    inputs: tuple[Path, Path], tmp_path: Path, status: int, code: str, retryable: bool
):
    from grpo.reporting.run_directory import prepare_run_directory
    from grpo.run import run
    from grpo.runtime.stop import Stop

    def answering(asked: Asked) -> Reply:
        step = asked.json["data"]["step"]
        return Reply(b"", status) if (step or 0) >= 3 else scored(asked, right)

    with reward_service(answering) as service:
        spec = small_spec(*inputs, **of(service, version=json.dumps(status)))
        folder = tmp_path / "run"
        prepare_run_directory(folder, spec)
        assert run(spec, folder, stop=Stop()) == 1
    error = end_of(folder)["error"]
    assert (error["code"], error["retryable"]) == (code, retryable)
    assert f"it answered {status}" in error["message"]
    assert (folder / "checkpoints/step-000002").is_dir()
