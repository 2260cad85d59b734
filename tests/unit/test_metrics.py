"""The table of metrics."""

import pytest

from grpo.metrics import METRICS, table_name


def test_every_metric_of_the_table_has_a_unit_and_a_sentence():
    for name, metric in METRICS.items():
        assert metric.unit, name
        assert metric.description.endswith("."), name


def test_each_part_of_the_reward_belongs_to_one_entry():
    assert table_name("rewards/exact/mean") == "rewards/{part}/mean"
    assert table_name("reward") == "reward"


@pytest.mark.parametrize("name", ["rewards/{part}/mean", "rewards/exact/max", "made_up"])
def test_a_name_that_is_not_in_the_table_is_refused(name: str):
    with pytest.raises(KeyError, match="table of metrics"):
        table_name(name)
