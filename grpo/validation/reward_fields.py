"""Check of rewards for fields that no row of the data has."""

from collections.abc import Iterator, Mapping, Sequence

from grpo.data.rows import MAX_NAME_TOLD, told
from grpo.rewards.multi import MultiReward
from grpo.rewards.reasoning_gym import READ, ReasoningGymReward
from grpo.rewards.reward import Reward
from grpo.rewards.string_check import StringCheckReward
from grpo.rewards.template import row_fields
from grpo.rewards.text_similarity import TextSimilarityReward
from grpo.validation.named_fields import NamedFields

TEMPLATES = ("input", "reference")


def fields_of_rewards(rewards: Sequence[Reward]) -> NamedFields:
    """Return the row's fields that the rewards read by name, each with its pointer."""
    return NamedFields.of(
        [
            *(
                (pointer, path)
                for pointer, template in _templates(rewards, "/rewards")
                for path in row_fields(template)
            ),
            *_of_the_gym(rewards, "/rewards"),
        ]
    )


def unknown_fields(
    named: NamedFields, label: str, fields: Mapping[str, str | None]
) -> Iterator[tuple[str, str]]:
    """Return a problem for each field of `named` that no row of a source has."""
    for pointer, path in named.missing(fields):
        name = path[:MAX_NAME_TOLD]
        there = told(fields)
        yield (
            pointer,
            f"no row of {label} has the field {name!r} (item.{name}); available fields: {there}",
        )


def _of_the_gym(rewards: Sequence[Reward], pointer: str) -> Iterator[tuple[str, str]]:
    for number, reward in enumerate(rewards):
        here = f"{pointer}/{number}"
        if isinstance(reward, MultiReward):
            yield from _of_the_gym(reward.rewards, f"{here}/rewards")
        elif isinstance(reward, ReasoningGymReward):
            yield from ((f"{here}/type", name) for name in READ)


def _templates(rewards: Sequence[Reward], pointer: str) -> Iterator[tuple[str, str]]:
    for number, reward in enumerate(rewards):
        here = f"{pointer}/{number}"
        if isinstance(reward, MultiReward):
            yield from _templates(reward.rewards, f"{here}/rewards")
        elif isinstance(reward, StringCheckReward | TextSimilarityReward):
            for name in TEMPLATES:
                if template := getattr(reward, name):
                    yield f"{here}/{name}", template
