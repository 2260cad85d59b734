"""The cost of a spec, estimated from the spec, its data, and past jobs on this server."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from api.schemas.estimates import GroupSizeEstimate, Memory
from grpo.budget import TOKEN_BUDGET, size
from grpo.builtin.catalogue import MODELS
from grpo.data.source_ref import Kind, model_ref
from grpo.estimate.memory import Device, estimate_memory
from grpo.spec.job import JobSpec
from store import ids, workers
from store.jobs import checkpoints, throughput
from store.tables import Job


def estimate(
    session: Session, project_id: UUID, spec: JobSpec, num_prompts: int | None
) -> GroupSizeEstimate:
    """Estimate the cost of a checked spec; unknown values are null."""
    group_size = spec.algorithm.group_size
    counts = None if num_prompts is None else size(spec, num_prompts)
    speed = throughput.measured(session, project_id, model=spec.model.source, group_size=group_size)
    seconds = tokens = None
    if counts is not None and speed is not None:
        seconds = counts.rollouts * speed.seconds_per_rollout
        tokens = round(counts.rollouts * speed.tokens_per_rollout)
    try:
        memory, unknown = _memory(session, project_id, spec), None
    except ValueError as error:
        memory, unknown = None, str(error)
    return GroupSizeEstimate(
        group_size=group_size,
        steps=counts and counts.steps,
        updates=counts and counts.updates,
        rollouts=counts and counts.rollouts,
        longest_tokens=counts and counts.longest_tokens,
        tokens=tokens,
        seconds=seconds,
        measured_on=speed.num_jobs if speed else 0,
        memory=memory,
        memory_unknown=unknown,
    )


def _memory(session: Session, project_id: UUID, spec: JobSpec) -> Memory:
    """Return the memory by purpose.

    Raises:
        ValueError: the model's shape is unknown here.
    """
    device = _device(session, spec)
    config = _config(session, project_id, spec.model.source)
    try:
        found = estimate_memory(
            spec,
            config,
            device=device,
            token_budget=TOKEN_BUDGET[device],
            engine="transformers" if spec.rollout.engine == "transformers" else "vllm",
        )
    except (AttributeError, KeyError, TypeError, ArithmeticError) as error:
        # A model's folder may hold a config.json of any shape.
        reason = f"its config.json is not that of a model ({type(error).__name__})"
        raise ValueError(f"the shape of {spec.model.source!r} is unknown: {reason}") from None
    return Memory.of(found, device)


def _device(session: Session, spec: JobSpec) -> Device:
    """Resolve the device; `auto` takes a GPU where a worker has one."""
    if spec.resources.gpus == "auto":
        on_gpu = workers.serve_with_gpu(session, spec.resources.queue)
        return "cuda" if on_gpu else "cpu"
    return "cuda" if spec.resources.gpus else "cpu"


def _config(session: Session, project_id: UUID, source: str) -> Mapping[str, Any]:
    """A model's config.json; a checkpoint has the shape of its job's initial model.

    Raises:
        ValueError: the model cannot be read from here.
    """
    while (kind := model_ref(source).kind) is Kind.CHECKPOINT:
        checkpoint = checkpoints.get(session, project_id, ids.decode("ckpt", source))
        source = session.get_one(Job, checkpoint.job_id).spec["model"]["source"]
    if kind is Kind.BUILTIN:
        return MODELS[source].config
    if kind is Kind.PATH:
        with suppress(OSError):
            return json.loads((Path(source) / "config.json").read_bytes())
    raise ValueError(f"the shape of {source!r} is unknown to this server")
