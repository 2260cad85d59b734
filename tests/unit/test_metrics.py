"""The metric table."""

import re

import pytest

from grpo.reporting.metric_table import METRICS, PATTERNS, table_name


def test_every_metric_of_the_table_has_a_unit_and_a_sentence():
    for name, metric in METRICS.items():
        assert metric.unit, name
        assert metric.description.endswith("."), name


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("reward", "reward"),
        ("rewards/exact/mean", "rewards/{part}/mean"),
        ("eval/accuracy", "eval/accuracy"),
        ("eval/pass@16", "eval/pass@{k}"),
        ("eval/majority@4", "eval/majority@{n}"),
        ("eval/gsm8k/accuracy", "eval/{source}/accuracy"),
        ("eval/math-500/pass@2", "eval/{source}/pass@{k}"),
        ("eval/math_500/majority@8", "eval/{source}/majority@{n}"),
        ("eval/7/reward", "eval/{source}/reward"),
    ],
)
def test_a_name_belongs_to_the_entry_whose_placeholders_it_fills(name: str, entry: str):
    assert table_name(name) == entry


@pytest.mark.parametrize(
    "name",
    [
        "rewards/{part}/mean",
        "rewards/exact/max",
        "eval/pass@0",
        "eval/pass@{k}",
        "eval/gsm8k/pass@",
        "eval/a/b/accuracy",
        "eval/accuracy\n",
        "made_up",
    ],
)
def test_a_name_that_is_not_in_the_table_is_refused(name: str):
    with pytest.raises(KeyError, match="metric table"):
        table_name(name)


def test_no_name_belongs_to_two_entries():
    for entry in METRICS:
        name = re.sub(r"\{\w+\}", "7" if "@" in entry else "a", entry)
        filled = [other for other, pattern in PATTERNS.items() if pattern.fullmatch(name)]
        assert filled == ([entry] if "{" in entry else []), name
