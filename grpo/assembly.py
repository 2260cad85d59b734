"""Puts a run's parts together: model, data, engine, policy, optimizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from grpo.data.prompts import Prompt, load_prompts
from grpo.engines.choose import start_engine
from grpo.engines.engine import RolloutEngine
from grpo.errors import RunError
from grpo.model_source import context_tokens, load_tokenizer, locate_model
from grpo.optimizer import make_optimizer
from grpo.policy import Precision, load_policy
from grpo.reporter import Phase
from grpo.spec.job import JobSpec
from grpo.trainer import Parts

COMPLETIONS_AT_ONCE = 512  # an engine's batch: more gains nothing and takes memory for its requests


@dataclass(frozen=True)
class Assembly:
    parts: Parts
    warnings: list[str]


def assemble(
    spec: JobSpec, *, model_folder: Path | None, phase: Callable[[Phase], None]
) -> Assembly:
    """Load everything, what is quick to fail first.

    `model_folder`: a checkpoint's, where the run continues from one.

    Raises:
        RunError: the model, the data or the engine cannot be used.
    """
    phase("loading")
    folder = model_folder or locate_model(spec.model)
    tokenizer = load_tokenizer(folder)
    check_context(spec, context_tokens(folder))
    prompts, num_too_long = _load(spec.data.train, spec, tokenizer)
    held_out, num_held_out_too_long = [], 0
    if spec.data.eval is not None:
        held_out, num_held_out_too_long = _load(spec.data.eval, spec, tokenizer)
    policy = load_policy(folder, device=device(), precision=precision(spec))
    phase("starting_engine")
    engine = start(spec, folder, tokenizer)
    return Assembly(
        Parts(
            policy=policy,
            optimizer=make_optimizer(policy.model, spec.optimizer),
            engine=engine,
            tokenizer=tokenizer,
            prompts=prompts,
            held_out=held_out,
        ),
        [
            *_warn_too_long("training", num_too_long, spec),
            *_warn_too_long("held-out", num_held_out_too_long, spec),
        ],
    )


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(spec: JobSpec) -> Precision:
    if spec.model.dtype != "auto":
        return spec.model.dtype
    return "bfloat16" if device().type == "cuda" else "float32"


def start(spec: JobSpec, folder: Path, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
    """The rollout engine as the spec wants it, on a model folder."""
    completions = spec.algorithm.prompts_per_step * spec.algorithm.group_size
    return start_engine(
        spec.rollout.engine,
        model_folder=folder,
        tokenizer=tokenizer,
        dtype=precision(spec),
        max_model_tokens=spec.data.max_prompt_tokens + spec.rollout.max_tokens,
        max_batch=min(completions, COMPLETIONS_AT_ONCE),
        gpu_memory_fraction=spec.rollout.gpu_memory_fraction,
    )


def check_context(spec: JobSpec, context: int) -> None:
    """
    Raises:
        RunError: `context_too_short`.
    """
    needed = spec.data.max_prompt_tokens + spec.rollout.max_tokens
    if needed > context:
        raise RunError(
            "context_too_short",
            f"prompts of up to {spec.data.max_prompt_tokens} tokens and completions of up to "
            f"{spec.rollout.max_tokens} need a context of {needed}; the model's is {context}",
            hint="Lower data.max_prompt_tokens or rollout.max_tokens.",
        )


def _load(
    source: str, spec: JobSpec, tokenizer: PreTrainedTokenizerBase
) -> tuple[Sequence[Prompt], int]:
    loaded = load_prompts(
        source,
        data=spec.data,
        tokenizer=tokenizer,
        max_prompt_tokens=spec.data.max_prompt_tokens,
    )
    return loaded.prompts, loaded.num_too_long


def _warn_too_long(which: str, num_too_long: int, spec: JobSpec) -> list[str]:
    if num_too_long == 0:
        return []
    limit = spec.data.max_prompt_tokens
    return [f"{num_too_long} {which} prompts are longer than {limit} tokens and are left out"]
