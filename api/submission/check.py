"""Checks of a spec before it is queued: each problem with its pointer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from api.dependencies.services import Services
from api.limits.reward_time import RewardTime
from api.limits.reward_trials import python_problems
from api.submission.data_facts import ProjectData
from api.submission.estimate import CostEstimator
from api.submission.reward_services import service_problems
from api.submission.row_checks import StoredRows
from grpo.builtin.catalogue import MODELS
from grpo.data.source_ref import Kind, model_ref, unknown_model
from grpo.rewards.reward import Case
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError
from grpo.spec.resolver import Resolver
from grpo.validation.check import CheckedSpec, SpecCheck
from grpo.validation.model_config import ModelContext, config_at, config_in, context_of
from store import ids
from store.artifacts.artifacts import Artifacts
from store.database.database import Database
from store.errors import ArtifactMissing, NotFound
from store.jobs import checkpoints
from store.security.allowed_sources import AllowedSources


class SpecChecker:
    """Checks the specs of one request, before its transaction: rewards and rows may take seconds.

    What its specs have in common is checked once. A later transaction locks the files and the
    checkpoint of a spec (`jobs.submit`), which may have been deleted since.
    """

    def __init__(self, services: Services, project_id: UUID) -> None:
        self.data = ProjectData.of(services, project_id)
        self.costs = CostEstimator(services.database, project_id)
        self._resolver = Resolver()
        reward_time = RewardTime(
            lambda rewards: services.reward_checks.problems(rewards, project_id)
        )
        self._check = SpecCheck(
            context_of=_Models(
                services.database,
                services.artifacts,
                project_id,
                AllowedSources.of(services.settings),
            ).context,
            facts_of=self.data.facts,
            check_stored=StoredRows(services.artifacts, services.row_slots, project_id).check,
            reward_problems=lambda rewards: [
                *python_problems(rewards, services.settings),
                *service_problems(rewards, services, project_id),
                *reward_time.problems(rewards),
            ],
        )

    def check(self, written: Mapping[str, Any]) -> CheckedSpec:
        """Resolve a spec and look for settings that cannot work or are not allowed here.

        Raises:
            SpecError: with every problem found.
            Problem: 503 while the rewards of other requests are checked; 409 while a file is.
        """
        spec = self._resolver.resolve(written)
        data = spec.data
        named = (*data.train_sources, *data.eval_sources, *data.test_sources)
        self.data.look_up(source.source for source in named)
        checked = self._check.check(spec)
        problem = self.costs.card_problem(spec)
        if problem is not None:
            raise SpecError([problem])
        return replace(checked, needs_gpu=self.costs.needs_gpu(spec))

    def samples(self, spec: JobSpec, count: int) -> list[Case]:
        """Return about `count` rows of a checked spec's training data, to test its rewards on."""
        return self._check.samples(spec.data, count)


@dataclass(frozen=True)
class _Models:
    """The models that a project's specs may name."""

    database: Database
    artifacts: Artifacts
    project_id: UUID
    sources: AllowedSources

    def context(self, source: str) -> ModelContext | None:
        """The model's context; None: unknown here, as of a folder that only workers see.

        Raises:
            ValueError: the model does not exist, or may not be used here.
        """
        match model_ref(source).kind:
            case Kind.BUILTIN:
                return context_of(MODELS[source].config)
            case Kind.CHECKPOINT:
                return self._stored_context(source)
            case Kind.PATH:
                return context_of(config_at(self.sources.folder(source)))
            case Kind.HUB:
                self.sources.check_hub(source)
                return None
            case _:
                raise ValueError(unknown_model(source))

    def _stored_context(self, name: str) -> ModelContext | None:
        try:
            checkpoint_id = ids.decode("ckpt", name)
            with self.database.autocommit() as session:
                checkpoint = checkpoints.get(session, self.project_id, checkpoint_id)
        except (ValueError, NotFound):
            raise ValueError(f"checkpoint {name!r} not found") from None
        try:
            with self.artifacts.open(f"{checkpoint.key}/config.json") as stored:
                return context_of(config_in(stored))
        except ArtifactMissing:
            return None
