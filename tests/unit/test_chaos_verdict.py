"""Violations are detected: each guarantee is violated once in an otherwise right ending."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from store.ids import encode, new_id
from store.states import Status
from store.tables import Attempt, Checkpoint, Job, Record
from tests.chaos.plan import Ending
from tests.chaos.verdict import Expected, Seen, judge, judge_files, judge_runs

JOB = new_id()
NAME = encode("job", JOB)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WANTED = Expected(ending=Ending.SUCCEEDED, steps=2, weights="right")


def record(seq: int, kind: str, step: int | None = None, **payload: Any) -> Record:
    return Record(job_id=JOB, seq=seq, attempt=1, kind=kind, step=step, payload=payload, at=NOW)


def right() -> Seen:
    """Two attempts: the first one was lost after step 1."""
    records = [
        record(1, "status", status="queued"),
        record(2, "status", status="running"),
        record(3, "metric", 1),
        record(4, "status", status="queued"),
        record(5, "status", status="running"),
        record(6, "metric", 1),
        record(7, "metric", 2),
        record(8, "status", status="succeeded"),
    ]
    manifest = {"files": [{"path": "model.safetensors", "bytes": 3, "sha256": "right"}]}
    return Seen(
        job=Job(id=JOB, status=Status.SUCCEEDED, status_reason="completed", attempt=2, last_seq=8),
        attempts=[
            Attempt(job_id=JOB, number=1, ended_at=NOW),
            Attempt(job_id=JOB, number=2, ended_at=NOW),
        ],
        records=records,
        live=[one for one in records if one.seq != 3],
        checkpoints=[Checkpoint(job_id=JOB, step=2, key="k", manifest=manifest, final=True)],
    )


def promises(seen: Seen, wanted: Expected = WANTED) -> list[str]:
    return [violation.promise for violation in judge([seen], {NAME: wanted})]


def test_a_right_ending_is_no_violation():
    assert promises(right()) == []
    assert right().num_superseded == 1


def running(seen: Seen) -> Seen:
    seen.job.status = Status.RUNNING
    seen.job.lease_expires_at = NOW
    return seen


def failed(seen: Seen) -> Seen:
    seen.job.status = Status.FAILED
    seen.records[-1].payload = {"status": "failed"}
    return seen


def ended_twice(seen: Seen) -> Seen:
    seen.records[3].payload = {"status": "failed"}
    return seen


def open_attempt(seen: Seen) -> Seen:
    seen.attempts[0].ended_at = None
    return seen


def attempt_lost(seen: Seen) -> Seen:
    return replace(seen, attempts=seen.attempts[1:])


def gap(seen: Seen) -> Seen:
    return replace(seen, records=[one for one in seen.records if one.seq != 3])


def step_twice(seen: Seen) -> Seen:
    return replace(seen, live=seen.records)


def step_lost(seen: Seen) -> Seen:
    return replace(seen, live=[one for one in seen.live if one.seq != 6])


def no_final_checkpoint(seen: Seen) -> Seen:
    return replace(seen, checkpoints=[])


def other_weights(seen: Seen) -> Seen:
    seen.checkpoints[0].manifest = {"files": [{"path": "model.safetensors", "sha256": "other"}]}
    return seen


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (running, ["stuck", "stuck"]),
        (failed, ["lost"]),
        (ended_twice, ["doubled"]),
        (open_attempt, ["stuck"]),
        (attempt_lost, ["lost"]),
        (gap, ["lost"]),
        (step_twice, ["doubled"]),
        (step_lost, ["lost"]),
        (no_final_checkpoint, ["lost"]),
        (other_weights, ["inexact"]),
    ],
)
def test_a_broken_guarantee_is_reported(broken: Callable[[Seen], Seen], told: list[str]):
    assert promises(broken(right())) == told


def test_an_unknown_or_missing_job_is_reported():
    assert [v.promise for v in judge([right()], {})] == ["doubled"]
    assert [v.promise for v in judge([], {NAME: WANTED})] == ["lost"]


def test_a_job_that_was_cancelled_has_its_steps_without_a_gap():
    wanted = Expected(ending=Ending.CANCELLED, steps=2, weights=None)
    assert promises(right(), wanted) == ["lost"]  # it succeeded
    seen = right()
    seen.job.status = Status.CANCELLED
    seen.records[-1].payload = {"status": "cancelled"}
    assert promises(seen, wanted) == []
    assert promises(step_lost(seen), wanted) == ["lost"]


def stored(seen: Seen, root: Path) -> None:
    """Complete folder of the only checkpoint."""
    folder = root / "jobs/job_a/attempt-2/step-2"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    seen.checkpoints[0].key = "jobs/job_a/attempt-2/step-2"
    seen.checkpoints[0].manifest = {"files": [{"path": "weights", "bytes": 3, "sha256": sha256}]}


def files_told(artifacts: Path, seen: Seen, damaged: set[str]) -> list[str]:
    return [v.promise for v in judge_files(artifacts, [seen], damaged=damaged)]


def test_the_artifact_store_holds_what_is_listed_and_nothing_else(tmp_path: Path):
    seen = right()
    stored(seen, tmp_path)
    assert files_told(tmp_path, seen, set()) == []
    (tmp_path / "jobs/job_a/attempt-1/step-1").mkdir(parents=True)
    (tmp_path / "jobs/job_a/attempt-2/rollouts").mkdir()
    (tmp_path / "jobs/job_a/attempt-2/rollouts/.a.tmp").touch()
    assert files_told(tmp_path, seen, set()) == ["left over", "left over"]


def test_a_changed_byte_is_reported_unless_the_campaign_changed_it(tmp_path: Path):
    seen = right()
    stored(seen, tmp_path)
    (tmp_path / "jobs/job_a/attempt-2/step-2/weights").write_bytes(b"abd")
    assert files_told(tmp_path, seen, set()) == ["lost"]
    assert files_told(tmp_path, seen, {seen.checkpoints[0].key}) == []


def test_a_checkpoint_in_an_ended_attempts_run_directory_is_reported(tmp_path: Path):
    (tmp_path / "job_a/attempt-0001/checkpoints").mkdir(parents=True)
    assert [v.promise for v in judge_runs(tmp_path)] == ["left over"]
