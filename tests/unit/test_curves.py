"""Curves in lines of a terminal, by hand."""

from datetime import UTC, datetime

from duet.objects.log import Record
from duet.objects.metrics import Metrics
from duet.terminal.curves import Curves
from duet.terminal.sparkline import spark_line


def record(kind: str, step: int, **payload: float | None) -> Record:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Record(seq=1, kind=kind, step=step, attempt=1, at=at, payload=payload)


def test_a_line_goes_from_its_lowest_to_its_highest_mark():
    assert spark_line([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert spark_line([0, 2, 10, 12], 2) == "▁█", "means of two: 1 and 11"
    assert spark_line([3, 3], 5) == "▁▁"
    assert spark_line([], 5) == ""


def test_repeated_steps_replace_earlier_ones_and_an_evaluation_keeps_the_rewards():
    curves = Curves.of(Metrics.model_validate({"metrics": {"reward": {"step": [1], "value": [0]}}}))
    for step, reward in ((2, 0.5), (3, 1.0), (2, 0.25)):
        curves.add(record("metric", step, reward=reward))
    curves.add(record("metric", 3, reward=None))
    curves.add(record("eval", 2, **{"eval/accuracy": 0.5}))
    curves.add(record("eval", 3, **{"eval/accuracy": 1.0}))
    assert list(curves.lines(40)) == ["reward   ▁█ 0.00 → 0.25", "held-out ▁█ 50.0% → 100.0%"]
    many = [record("metric", step, reward=step / 100) for step in range(4, 100)]
    for each in many:
        curves.add(each)
    assert len(next(curves.lines(40))) == 40
