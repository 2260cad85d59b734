"""A spec's rewards tested on rows of its own data."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from grpo.rewards.preflight import preflight
from grpo.rewards.reward import Case, Reward
from grpo.rewards.tryout import Tryout
from grpo.spec.job import JobSpec
from grpo.validation.results import Preflight, RewardPreflight

SAMPLE_ROWS = 8
SECONDS_IN_ALL = 10.0
ONLY_SERVICES = (
    "validation calls no services of rewards: try them by `duet rewards try` or POST "
    "/v1/rewards/try"
)
NO_ROWS = (
    "the first rows are unavailable here or too large: rows of hub data sets "
    "are available only to workers"
)


def local_rewards(rewards: Sequence[Reward]) -> list[Reward]:
    """Return the rewards that a validation tests: those that call no service, which may cost
    money, while a form validates at each change."""
    return [reward for reward in rewards if not reward.remote]


def preflight_on(
    rows: Sequence[Case], spec: JobSpec, opened: AbstractContextManager[Tryout]
) -> Preflight:
    """Test a checked spec's rewards on rows; `opened`: its `local_rewards`, ready to score."""
    if not rows:
        return not_tried(NO_ROWS)
    began = time.monotonic()
    with opened as tryout:
        reports = preflight(tryout, rows, max_tokens=spec.rollout.max_tokens)
    return Preflight(
        num_rows=len(rows),
        seconds=time.monotonic() - began,
        rewards=[RewardPreflight.of(report) for report in reports],
        not_tried=None,
        left_out=[reward.part for reward in spec.rewards if reward.remote],
    )


def not_tried(reason: str) -> Preflight:
    """Return the result of a preflight that was not run."""
    return Preflight(num_rows=0, seconds=0, rewards=[], not_tried=reason)
