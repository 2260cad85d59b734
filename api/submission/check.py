"""Checks of a spec before it is queued: each problem with its pointer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from sqlalchemy.orm import Session

from api.dependencies.services import Services
from api.limits.reward_checks import RewardChecks
from api.limits.reward_trials import python_problems
from api.schemas.jobs import Estimate
from api.schemas.rewards import Preflight
from api.submission.data_check import DataCheck, Problems
from api.submission.reward_fields import unknown_fields
from api.submission.row_checks import RowChecks
from grpo.budget import total_steps
from grpo.builtin.catalogue import MODELS
from grpo.data.source_ref import Kind, model_ref, unknown_model
from grpo.spec.job import JobSpec
from grpo.spec.resolve import MAX_PROBLEMS, SpecError, resolve
from grpo.values.section import MOST
from store import ids
from store.artifacts.artifacts import Artifacts
from store.errors import ArtifactMissing, NotFound
from store.jobs import checkpoints
from store.security.allowed_sources import AllowedSources
from store.settings import Settings


@dataclass(frozen=True)
class Submission:
    """A spec that can be queued."""

    spec: JobSpec
    num_prompts: int | None
    total_steps: int | None

    def estimate(self, preflight: Preflight | None = None) -> Estimate:
        """The answer to a request that only validates."""
        return Estimate.of(self.spec, self.num_prompts, self.total_steps, preflight)


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

    def check(self, written: Mapping[str, Any]) -> Submission:
        """Resolve a spec and look for settings that cannot work or are not allowed here.

        Raises:
            SpecError: with every problem found.
            Problem: 503 while the rewards of other requests are checked.
        """
        spec, reward_problems = self._with_checked_rewards(written)
        sources = AllowedSources.of(self.settings)
        data = DataCheck(self.session, self.project_id, sources)
        rows = RowChecks(spec.rewards, artifacts=self.artifacts, checks=self.reward_checks)
        models = _ModelCheck(self.session, self.artifacts, self.project_id, sources)
        problems = [
            *models.problems(spec),
            *islice(unknown_fields(spec.rewards, spec.data, data), MAX_PROBLEMS),
            *islice(data.problems(spec.data, rows.check), MAX_PROBLEMS),
            *python_problems(spec.rewards, self.settings),
            *reward_problems,
        ]
        if problems:
            raise SpecError(problems)
        num_prompts = data.num_prompts(spec.data)
        return Submission(spec, num_prompts, _steps(spec, num_prompts))

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


def _steps(spec: JobSpec, num_prompts: int | None) -> int | None:
    """Steps of a spec over its prompts; None: the number of prompts is unknown.

    Raises:
        SpecError: more steps than a job may have.
    """
    if num_prompts is None:
        return None
    steps = total_steps(spec, num_prompts)
    if steps > MOST:
        detail = f"{num_prompts:,} prompts make {steps:,} steps; a job may have at most {MOST:,}"
        raise SpecError([("/budget/epochs", detail)])
    return steps


class _ModelCheck:
    """Checks the model that a spec names."""

    def __init__(
        self, session: Session, artifacts: Artifacts, project_id: UUID, sources: AllowedSources
    ) -> None:
        self._session = session
        self._artifacts = artifacts
        self._project_id = project_id
        self._sources = sources

    def problems(self, spec: JobSpec) -> Problems:
        try:
            context = self._context_tokens(spec.model.source)
        except ValueError as error:
            yield "/model/source", str(error)
            return
        needed = spec.data.max_prompt_tokens + spec.rollout.max_tokens
        if context is not None and needed > context:
            yield (
                "/rollout/max_tokens",
                f"prompts of up to {spec.data.max_prompt_tokens} tokens (data.max_prompt_tokens) "
                f"and completions of up to {spec.rollout.max_tokens} need a context of {needed}; "
                f"the model's context is {context}",
            )

    def _context_tokens(self, source: str) -> int | None:
        """The model's context [tokens]; None: unknown here."""
        match model_ref(source).kind:
            case Kind.BUILTIN:
                return MODELS[source].context_tokens
            case Kind.CHECKPOINT:
                return self._stored_context(source)
            case Kind.PATH:
                return _context_at(self._sources.folder(source))
            case Kind.HUB:
                self._sources.check_hub(source)
                return None
            case _:
                raise ValueError(unknown_model(source))

    def _stored_context(self, name: str) -> int | None:
        try:
            checkpoint_id = ids.decode("ckpt", name)
            checkpoint = checkpoints.hold(self._session, self._project_id, checkpoint_id)
        except (ValueError, NotFound):
            raise ValueError(f"checkpoint {name!r} not found") from None
        try:
            with self._artifacts.open(f"{checkpoint.key}/config.json") as stored:
                return _context_of(stored.read())
        except ArtifactMissing:
            return None


def _context_at(folder: Path) -> int | None:
    """The context of a folder's model; an unusable folder is left to the worker, which may see
    other folders."""
    try:
        return _context_of((folder / "config.json").read_bytes())
    except OSError:
        return None


def _context_of(written: bytes) -> int | None:
    """The context in a model's config [tokens]; None: not stated."""
    try:
        config = json.loads(written)
        context = config.get("text_config", config)["max_position_embeddings"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return context if isinstance(context, int) else None
