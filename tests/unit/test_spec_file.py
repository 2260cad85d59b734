"""Fields set on the command line, in addition to a spec's file."""

import pytest

from duet.errors import Refused
from duet.spec_file import with_settings

SPEC = {"name": "a", "algorithm": {"group_size": 2}, "rewards": [{"type": "exact"}]}


def test_a_setting_is_parsed_as_yaml_and_set_at_its_path():
    given = [
        "name=8 rollouts",
        "algorithm.group_size=8",
        "algorithm.ties.policy=keep",
        "rewards.0.weight=0.5",
        "labels={team: a=b}",
        "data.eval=null",
    ]
    assert with_settings(SPEC, given) == {
        "name": "8 rollouts",
        "algorithm": {"group_size": 8, "ties": {"policy": "keep"}},
        "rewards": [{"type": "exact", "weight": 0.5}],
        "labels": {"team": "a=b"},
        "data": {"eval": None},
    }
    assert SPEC["algorithm"] == {"group_size": 2}, "the spec itself stays"
    assert with_settings(SPEC, ["seed=1", "seed=2"])["seed"] == 2
    assert with_settings(SPEC, None) == SPEC


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("algorithm.group_size", "write FIELD=VALUE"),
        ("=3", "write FIELD=VALUE"),
        ("algorithm..loss=grpo", "write FIELD=VALUE"),
        ("algorithm.loss=[", "--set algorithm.loss: '[' is not a valid YAML value"),
        ("name.first=a", "--set name.first=a: name is 'a', which has no field 'first'"),
        ("algorithm.group_size.x.y=1", "algorithm.group_size is 2, which has no field 'x'"),
        ("rewards.1.weight=2", "rewards is a list of 1: '1' is not a valid index (from 0)"),
        ("rewards.type=math", "rewards is a list of 1: 'type' is not a valid index (from 0)"),
    ],
)
def test_a_setting_that_can_not_be_made_is_refused_with_its_path(setting: str, said: str):
    with pytest.raises(Refused) as refused:
        with_settings(SPEC, [setting])
    assert said in str(refused.value)
