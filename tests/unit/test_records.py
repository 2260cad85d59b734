"""The run directory's log."""

import json
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from grpo.reporting.records import Recorder, write_rollouts

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def recorder(path: Path) -> Recorder:
    return Recorder(path, now=lambda: NOON)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_are_numbered_from_one_and_carry_step_and_time(tmp_path: Path):
    log = recorder(tmp_path / "records.jsonl")
    log.append("phase", {"phase": "loading"}, step=0)
    log.append("metric", {"reward": 0.5}, step=1)
    assert lines(tmp_path / "records.jsonl") == [
        {
            "n": 1,
            "kind": "phase",
            "step": 0,
            "at": "2026-05-01T12:00:00.000000Z",
            "payload": {"phase": "loading"},
        },
        {
            "n": 2,
            "kind": "metric",
            "step": 1,
            "at": "2026-05-01T12:00:00.000000Z",
            "payload": {"reward": 0.5},
        },
    ]


def test_a_number_that_json_does_not_have_becomes_null_and_is_named(tmp_path: Path):
    log = recorder(tmp_path / "records.jsonl")
    log.append("metric", {"reward": 0.5, "loss": float("nan"), "entropy": float("inf")}, step=1)
    (record,) = lines(tmp_path / "records.jsonl")
    assert record["payload"] == {
        "reward": 0.5,
        "loss": None,
        "entropy": None,
        "nonfinite": ["loss", "entropy"],
    }


def test_records_of_several_threads_are_whole_and_numbered_without_a_gap(tmp_path: Path):
    log = recorder(tmp_path / "records.jsonl")
    with ThreadPoolExecutor(4) as threads:
        for step in range(100):
            threads.submit(log.append, "phase", {"phase": "training"}, step=step)
    written = lines(tmp_path / "records.jsonl")
    assert [record["n"] for record in written] == list(range(1, 101))
    assert {record["step"] for record in written} == set(range(100))


def test_a_metric_that_is_not_in_the_table_is_refused(tmp_path: Path):
    log = recorder(tmp_path / "records.jsonl")
    with pytest.raises(KeyError, match="made_up"):
        log.append("metric", {"reward": 1.0, "made_up": 1.0}, step=1)
    assert lines(tmp_path / "records.jsonl") == []


def test_text_of_any_kind_is_one_line_of_ascii(tmp_path: Path):
    text = "two\nlines\u2028\0\ud800 é"
    log = recorder(tmp_path / "records.jsonl")
    log.append("message", {"level": "info", "text": text})
    written = (tmp_path / "records.jsonl").read_bytes()
    assert written.count(b"\n") == 1
    assert written.isascii()
    assert json.loads(written)["payload"]["text"] == text


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Limit the size of files; beyond it the kernel writes a part and then fails."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_half(
    tmp_path: Path, file_limit: Callable[[int], None]
):
    path = tmp_path / "records.jsonl"
    log = recorder(path)
    log.append("message", {"level": "info", "text": "before"})
    file_limit(path.stat().st_size + 100)
    with pytest.raises(OSError, match="too large"):
        log.append("message", {"level": "info", "text": "lost" * 100})
    file_limit(100_000)
    log.append("message", {"level": "info", "text": "after"})
    assert [(line["n"], line["payload"]["text"]) for line in lines(path)] == [
        (1, "before"),
        (2, "after"),
    ]


def test_rollouts_are_compressed_json_lines(tmp_path: Path):
    write_rollouts(tmp_path / "rollouts", step=3, rows=[{"text": "a"}, {"text": "b\n"}])
    (path,) = (tmp_path / "rollouts").iterdir()
    assert path.name == "step-000003.jsonl.zst"
    text = zstandard.decompress(path.read_bytes()).decode()
    assert [json.loads(line) for line in text.splitlines()] == [{"text": "a"}, {"text": "b\n"}]
