"""A spec's rewards tested on rows of its project's data."""

from api.submission.submit import JobRequest
from grpo.spec.job import JobSpec
from grpo.validation.preflight import (
    ONLY_SERVICES,
    SAMPLE_ROWS,
    local_rewards,
    not_tried,
    preflight_on,
)
from grpo.validation.results import Preflight


def preflight_of(spec: JobSpec, request: JobRequest) -> Preflight:
    """Test the rewards of a checked spec, which may take seconds, outside of any transaction."""
    local = local_rewards(spec.rewards)
    if not local:
        return not_tried(ONLY_SERVICES)
    rows = request.checker.samples(spec, SAMPLE_ROWS)
    trial = request.services.trials.open(
        local, project_id=request.caller.project_id, seconds_each=spec.scoring.seconds
    )
    return preflight_on(rows, spec, trial)
