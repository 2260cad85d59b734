"""A spec's rewards tested on rows of its project's data."""

from api.dependencies.services import Services
from api.submission.check import SpecChecker
from grpo.spec.job import JobSpec
from grpo.validation.preflight import SAMPLE_ROWS, preflight_on
from grpo.validation.results import Preflight


def preflight_of(spec: JobSpec, services: Services, checker: SpecChecker) -> Preflight:
    """Test the rewards of a checked spec, which may take seconds, outside of any transaction."""
    rows = checker.samples(spec, SAMPLE_ROWS)
    trial = services.trials.open(spec.rewards, seconds_each=spec.scoring.seconds)
    return preflight_on(rows, spec, trial)
