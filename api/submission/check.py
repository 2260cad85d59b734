"""Checks of a spec before it is queued: each problem with its pointer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from sqlalchemy.orm import Session

from api.dependencies.services import Services
from api.limits.reward_checks import RewardChecks
from api.limits.reward_trials import python_problems
from api.submission.data_facts import ProjectData
from api.submission.estimate import CostEstimator
from api.submission.row_checks import StoredRows
from grpo.builtin.catalogue import MODELS
from grpo.data.source_ref import Kind, model_ref, unknown_model
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError, resolve
from grpo.validation.check import CheckedSpec, check_spec, context_at, context_in
from store import ids
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactMissing, NotFound
from store.jobs import checkpoints
from store.security.allowed_sources import AllowedSources
from store.settings import Settings


@dataclass(frozen=True)
class SpecChecker:
    """Checks the specs of one request."""

    session: Session
    project_id: UUID
    artifacts: Artifacts
    settings: Settings
    reward_checks: RewardChecks

    @classmethod
    def of(cls, services: Services, session: Session, project_id: UUID) -> Self:
        return cls(
            session, project_id, services.artifacts, services.settings, services.reward_checks
        )

    def check(self, written: Mapping[str, Any]) -> CheckedSpec:
        """Resolve a spec and look for settings that cannot work or are not allowed here.

        Raises:
            SpecError: with every problem found.
            Problem: 503 while the rewards of other requests are checked.
        """
        spec, reward_problems = self._with_checked_rewards(written)
        sources = AllowedSources.of(self.settings)
        models = _Models(self.session, self.artifacts, self.project_id, sources)
        checked = check_spec(
            spec,
            context_of=models.context_tokens,
            facts_of=ProjectData(self.session, self.project_id, sources).facts,
            check_stored=StoredRows(self.artifacts, self.reward_checks).check,
            further=[*python_problems(spec.rewards, self.settings), *reward_problems],
        )
        misfit = CostEstimator(self.session, self.project_id).misfit(checked.spec)
        if misfit is not None:
            problem = f"{misfit.reason}: {misfit.advice}"
            raise SpecError([("/rollout/gpu_memory_fraction", problem)])
        return checked

    def prepare(self, written: Mapping[str, Any]) -> None:
        """Check a spec's rewards, which may take seconds, before a transaction is open.

        A later `check` of the same spec uses the cached result.

        Raises:
            SpecError: the spec cannot be resolved.
            Problem: 503 while the rewards of other requests are checked.
        """
        self._with_checked_rewards(written)

    def _with_checked_rewards(
        self, written: Mapping[str, Any]
    ) -> tuple[JobSpec, list[tuple[str, str]]]:
        spec = resolve(written, defer_costly=True)
        return spec, self.reward_checks.problems(spec.rewards, self.project_id)


@dataclass(frozen=True)
class _Models:
    """The models that a project's specs may name."""

    session: Session
    artifacts: Artifacts
    project_id: UUID
    sources: AllowedSources

    def context_tokens(self, source: str) -> int | None:
        """The model's context [tokens]; None: unknown here, as of a folder that only workers see.

        Raises:
            ValueError: the model does not exist, or may not be used here.
        """
        match model_ref(source).kind:
            case Kind.BUILTIN:
                return MODELS[source].context_tokens
            case Kind.CHECKPOINT:
                return self._stored_context(source)
            case Kind.PATH:
                return context_at(self.sources.folder(source))
            case Kind.HUB:
                self.sources.check_hub(source)
                return None
            case _:
                raise ValueError(unknown_model(source))

    def _stored_context(self, name: str) -> int | None:
        try:
            checkpoint_id = ids.decode("ckpt", name)
            checkpoint = checkpoints.hold(self.session, self.project_id, checkpoint_id)
        except (ValueError, NotFound):
            raise ValueError(f"checkpoint {name!r} not found") from None
        try:
            with self.artifacts.open(f"{checkpoint.key}/config.json") as stored:
                return context_in(stored.read())
        except ArtifactMissing:
            return None
