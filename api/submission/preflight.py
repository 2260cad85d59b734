"""A spec's rewards tested on rows of its project's data."""

from sqlalchemy.orm import Session

from api.dependencies.auth import Caller
from api.dependencies.services import Services
from api.submission.data_facts import ProjectData
from grpo.spec.job import JobSpec
from grpo.validation.data_check import samples
from grpo.validation.preflight import SAMPLE_ROWS, preflight_on
from grpo.validation.results import Preflight
from store.security.allowed_sources import AllowedSources


def preflight_of(spec: JobSpec, services: Services, session: Session, caller: Caller) -> Preflight:
    """Test the rewards of a checked spec. Ends the transaction, which stores nothing: rewards may
    take seconds, during which no lock and no connection is held."""
    sources = AllowedSources.of(services.settings)
    data = ProjectData(session, caller.project_id, sources)
    rows = samples(spec.data, data.facts, SAMPLE_ROWS)
    session.rollback()
    trial = services.trials.open(spec.rewards, seconds_each=spec.scoring.seconds)
    return preflight_on(rows, spec, trial)
