"""The cost of a spec, estimated with this server's workers, checkpoints and past jobs."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from grpo.builtin.catalogue import MODELS
from grpo.data.source_ref import Kind, model_ref
from grpo.estimate.memory import Device
from grpo.runtime.card import Misfit, engine_misfit
from grpo.spec.job import JobSpec
from grpo.validation.check import CheckedSpec
from grpo.validation.cost import estimate_cost, memory_of, unknown_shape
from grpo.validation.results import GroupSizeEstimate
from store import ids, workers
from store.jobs import checkpoints, throughput
from store.tables import Job


@dataclass(frozen=True)
class CostEstimator:
    """Estimates the costs of one project's specs."""

    session: Session
    project_id: UUID

    def estimate(self, checked: CheckedSpec) -> GroupSizeEstimate:
        """Estimate the cost of a checked spec; unknown values are null."""
        spec = checked.spec
        pace = throughput.measured(
            self.session,
            self.project_id,
            model=spec.model.source,
            group_size=spec.algorithm.group_size,
        )
        device = self._device(spec)
        return estimate_cost(checked, device=device, config_of=self._config, pace=pace)

    def misfit(self, spec: JobSpec) -> Misfit | None:
        """Return why the engine would not fit on the largest GPU of the queue's workers beside the
        trainer's memory; None if it would, or is unknown."""
        card = workers.largest_gpu(self.session, spec.resources.queue)
        if card is None or self._device(spec) == "cpu" or spec.rollout.engine == "transformers":
            return None
        try:
            memory = memory_of(spec, self._config(spec.model.source), "cuda")
        except ValueError:
            return None
        kept = memory.weights + memory.optimizer + memory.reference
        fraction = spec.rollout.gpu_memory_fraction
        return engine_misfit(kept_bytes=kept, card_bytes=card, fraction=fraction)

    def _device(self, spec: JobSpec) -> Device:
        """Resolve the device; `auto` takes a GPU where a worker has one."""
        if spec.resources.gpus == "auto":
            on_gpu = workers.serve_with_gpu(self.session, spec.resources.queue)
            return "cuda" if on_gpu else "cpu"
        return "cuda" if spec.resources.gpus else "cpu"

    def _config(self, source: str) -> Mapping[str, Any]:
        """A model's config.json; a checkpoint has the shape of its job's initial model.

        Raises:
            ValueError: the model cannot be read from here.
        """
        while (kind := model_ref(source).kind) is Kind.CHECKPOINT:
            checkpoint_id = ids.decode("ckpt", source)
            checkpoint = checkpoints.get(self.session, self.project_id, checkpoint_id)
            source = self.session.get_one(Job, checkpoint.job_id).spec["model"]["source"]
        if kind is Kind.BUILTIN:
            return MODELS[source].config
        if kind is Kind.PATH:
            with suppress(OSError):
                return json.loads((Path(source) / "config.json").read_bytes())
        raise unknown_shape(source)
