"""docs/rewards.md is complete, and its examples are valid specs."""

import re
from pathlib import Path

import pytest
import yaml

from grpo.rewards.catalogue import REWARD_TYPES
from grpo.spec.resolve import resolve

PAGE = (Path(__file__).parents[2] / "docs/rewards.md").read_text()
SHOWN = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("name", sorted(REWARD_TYPES))
def test_every_reward_and_each_of_its_fields_is_documented(name: str):
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    common = {"type", "weight", "name", "correctness"}
    for field in REWARD_TYPES[name].model_fields.keys() - common:
        assert f"`{field}`" in row
    for field in common:
        assert f"`{field}`" in PAGE


def test_every_reward_that_is_shown_is_one():
    rewards = [one for shown in SHOWN for one in (shown if isinstance(shown, list) else [])]
    rewards += [one for shown in SHOWN if isinstance(shown, dict) for one in shown["rewards"]]
    assert len(rewards) >= 9
    for reward in rewards:
        assert (
            resolve({"rewards": [reward]}).rewards[0].model_dump(mode="json").items()
            >= {key: value for key, value in reward.items() if key != "rewards"}.items()
        )
