"""A spec's rewards tested on rows of its project's data."""

from api.dependencies.services import Services
from api.submission.check import SpecChecker
from grpo.spec.job import JobSpec
from grpo.validation.preflight import (
    ONLY_SERVICES,
    SAMPLE_ROWS,
    local_rewards,
    not_tried,
    preflight_on,
)
from grpo.validation.results import Preflight


def preflight_of(spec: JobSpec, services: Services, checker: SpecChecker) -> Preflight:
    """Test the rewards of a checked spec, which may take seconds, outside of any transaction."""
    local = local_rewards(spec.rewards)
    if not local:
        return not_tried(ONLY_SERVICES)
    rows = checker.samples(spec, SAMPLE_ROWS)
    trial = services.trials.open(local, seconds_each=spec.scoring.seconds)
    return preflight_on(rows, spec, trial)
