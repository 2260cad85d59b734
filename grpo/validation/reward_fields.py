"""Check of rewards for fields that no row of the data has."""

from collections.abc import Iterator, Mapping, Sequence

from grpo.data.rows import MAX_NAME_TOLD, told
from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Reward
from grpo.rewards.string_check import StringCheckReward
from grpo.rewards.template import row_fields
from grpo.rewards.text_similarity import TextSimilarityReward
from grpo.spec.data import Data
from grpo.validation.data_check import Problems
from grpo.validation.facts import FactsOf
from grpo.values.members import root_of

TEMPLATES = ("input", "reference")


def unknown_fields(rewards: Sequence[Reward], data: Data, facts_of: FactsOf) -> Problems:
    """Problem for each such field, in sources whose fields are known here; missing sources are
    reported elsewhere."""
    templates = list(_templates(rewards, "/rewards"))
    for label, sources in (("train", data.train_sources), ("eval", data.eval_sources)):
        for source in sources if templates else ():
            try:
                facts = facts_of(source)
            except ValueError:
                continue
            for pointer, template in templates if facts else ():
                for path in row_fields(template):
                    if facts is not None and root_of(path, facts.fields) is None:
                        yield pointer, _detail(path, f"data.{label}", facts.fields)


def _templates(rewards: Sequence[Reward], pointer: str) -> Iterator[tuple[str, str]]:
    for number, reward in enumerate(rewards):
        here = f"{pointer}/{number}"
        if isinstance(reward, MultiReward):
            yield from _templates(reward.rewards, f"{here}/rewards")
        elif isinstance(reward, StringCheckReward | TextSimilarityReward):
            for name in TEMPLATES:
                if template := getattr(reward, name):
                    yield f"{here}/{name}", template


def _detail(path: str, label: str, fields: Mapping[str, str | None]) -> str:
    name, there = path[:MAX_NAME_TOLD], told(fields)
    return f"no row of {label} has a field {name!r} (item.{name}); the fields are {there}"
