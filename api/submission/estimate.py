"""The cost of a spec, estimated with this server's workers, checkpoints and past jobs."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from grpo.data.source_ref import Kind, model_ref
from grpo.estimate.memory import Device
from grpo.spec.job import JobSpec
from grpo.validation.card_fit import card_problem
from grpo.validation.check import CheckedSpec
from grpo.validation.cost import estimate_cost, memory_of, unknown_shape
from grpo.validation.model_config import config_of
from grpo.validation.results import GroupSizeEstimate
from store import ids, workers
from store.database.database import Database
from store.errors import NotFound
from store.jobs import checkpoints, throughput
from store.tables import Job
from store.workers import Card


class CostEstimator:
    """Estimates the costs of the specs of one request; facts that they share are looked up once."""

    def __init__(self, database: Database, project_id: UUID) -> None:
        self._database = database
        self._project_id = project_id
        self._has_gpu = cache(self._look_for_gpu)
        self._largest_gpu = cache(self._look_for_largest_gpu)
        self._largest_memory = cache(self._look_for_largest_memory)
        self._config = cache(self._read_config)

    def estimate(self, checked: Sequence[CheckedSpec]) -> list[GroupSizeEstimate]:
        """Estimate the costs of checked specs that differ in their group size alone; unknown values
        are null."""
        spec = checked[0].spec
        with self._database.autocommit() as session:
            paces = throughput.measured(
                session,
                self._project_id,
                model=spec.model.source,
                group_sizes=[each.spec.algorithm.group_size for each in checked],
            )
        return [
            estimate_cost(
                each,
                device=self._device(spec),
                config_of=self._config_of,
                pace=paces.get(each.spec.algorithm.group_size),
            )
            for each in checked
        ]

    def card_problem(self, spec: JobSpec) -> tuple[str, str] | None:
        """Return why the job would not fit on the largest GPU of the queue's workers, with its
        pointer; None if it would, or is unknown."""
        card = self._largest_gpu(spec.resources.queue)
        if card is None or self._device(spec) == "cpu":
            return None
        try:
            config = self._config_of(spec.model.source)
        except ValueError:
            return None
        return card_problem(spec, config, card.memory_bytes, has_vllm=card.has_vllm)

    def needs_gpu(self, spec: JobSpec) -> bool:
        """Whether a job that is left the choice would not fit in the memory of any machine of the
        queue's workers, none of which has a GPU."""
        queue = spec.resources.queue
        if spec.resources.gpus != "auto" or self._has_gpu(queue):
            return False
        memory_bytes = self._largest_memory(queue)
        if memory_bytes is None:
            return False
        try:
            memory = memory_of(spec, self._config_of(spec.model.source), "cpu")
        except ValueError:
            return False
        return memory.total > memory_bytes

    def _device(self, spec: JobSpec) -> Device:
        """Resolve the device; `auto` takes a GPU where a worker has one."""
        if spec.resources.gpus == "auto":
            return "cuda" if self._has_gpu(spec.resources.queue) else "cpu"
        return "cuda" if spec.resources.gpus else "cpu"

    def _config_of(self, source: str) -> Mapping[str, Any]:
        """
        Raises:
            ValueError: the model cannot be read from here.
        """
        config = self._config(source)
        if config is None:
            raise unknown_shape(source)
        return config

    def _read_config(self, source: str) -> Mapping[str, Any] | None:
        """A model's config.json; a checkpoint has the shape of its job's initial model.

        None: the model cannot be read from here, or a checkpoint before it was deleted.
        """
        try:
            return config_of(self._initial(source))
        except NotFound:
            return None

    def _initial(self, source: str) -> str:
        """The model from which a checkpoint was trained, through the checkpoints before it.

        Raises:
            NotFound: one of them was deleted.
        """
        with self._database.autocommit() as session:
            while model_ref(source).kind is Kind.CHECKPOINT:
                checkpoint_id = ids.decode("ckpt", source)
                checkpoint = checkpoints.get(session, self._project_id, checkpoint_id)
                source = session.get_one(Job, checkpoint.job_id).spec["model"]["source"]
        return source

    def _look_for_gpu(self, queue: str) -> bool:
        with self._database.autocommit() as session:
            return workers.serve_with_gpu(session, queue)

    def _look_for_largest_gpu(self, queue: str) -> Card | None:
        with self._database.autocommit() as session:
            return workers.largest_gpu(session, queue)

    def _look_for_largest_memory(self, queue: str) -> int | None:
        with self._database.autocommit() as session:
            return workers.largest_memory(session, queue)
