"""A spec's rewards tested on rows of its own data."""

import time

from sqlalchemy.orm import Session

from api.dependencies.auth import Caller
from api.dependencies.services import Services
from api.schemas.rewards import Preflight, RewardPreflight
from api.submission.data_check import DataCheck
from grpo.rewards.preflight import preflight
from grpo.spec.job import JobSpec
from store.security.allowed_sources import AllowedSources

SAMPLE_ROWS = 8


def preflight_of(spec: JobSpec, services: Services, session: Session, caller: Caller) -> Preflight:
    """Test the rewards of a checked spec. Ends the transaction, which stores nothing: rewards may
    take seconds, during which no lock and no connection is held."""
    sources = AllowedSources.of(services.settings)
    data = DataCheck(session, caller.project_id, sources)
    rows = data.samples(spec.data, SAMPLE_ROWS)
    session.rollback()
    if not rows:
        reason = (
            "the first rows are unavailable here or too large: rows of hub data sets "
            "are available only to workers"
        )
        return Preflight(num_rows=0, seconds=0, rewards=[], not_tried=reason)
    began = time.monotonic()
    with services.trials.open(spec.rewards, seconds_each=spec.scoring.seconds) as tryout:
        reports = preflight(tryout, rows, max_tokens=spec.rollout.max_tokens)
    return Preflight(
        num_rows=len(rows),
        seconds=time.monotonic() - began,
        rewards=[RewardPreflight.of(report) for report in reports],
        not_tried=None,
    )
