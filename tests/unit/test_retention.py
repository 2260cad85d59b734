"""Retention of checkpoints in a run without a server."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from grpo.checkpoint.checkpoint import checkpoint_name
from grpo.reporting.checkpoint_retention import Retention, kept_steps
from grpo.spec.lifecycle import Checkpoints

SCORES = st.dictionaries(st.integers(1, 9), st.sampled_from([0.1, 0.5, 0.9]))


@given(steps=st.sets(st.integers(1, 9), min_size=1), scores=SCORES, keep=st.integers(1, 4))
def test_the_newest_and_the_best_are_kept(steps: set[int], scores: dict[int, float], keep: int):
    newest = set(sorted(steps)[-keep:])
    without = Checkpoints(keep_last=keep, keep_best=False)
    assert kept_steps(list(steps), settings=without, scores=scores) == newest
    kept = kept_steps(list(steps), settings=Checkpoints(keep_last=keep), scores=scores)
    scored = steps & scores.keys()
    if scored:
        best = max(scores[step] for step in scored)
        newest |= {min(step for step in scored if scores[step] == best)}
    assert kept == newest


def record(kind: str, step: int, **payload: Any) -> dict[str, Any]:
    return {"kind": kind, "step": step, "payload": payload}


def test_outdated_checkpoints_leave_the_folder_as_new_ones_are_written(tmp_path: Path):
    keep = Retention(tmp_path, settings=Checkpoints(keep_last=1), metric="eval/accuracy")
    for step, accuracy in ((1, 0.25), (2, 0.75), (3, 0.5), (4, None)):
        keep(record("eval", step, **{"eval/accuracy": accuracy}))
        (tmp_path / checkpoint_name(step)).mkdir()
        (tmp_path / checkpoint_name(step) / "weights").touch()
        keep(record("checkpoint", step, path="..."))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000002", "step-000004"]
