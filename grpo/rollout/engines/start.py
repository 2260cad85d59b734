"""Startup of the rollout engine that a spec asks for."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from grpo.errors import RunError
from grpo.models.end_tokens import end_token_ids
from grpo.rollout.engines.engine import RolloutEngine
from grpo.runtime.compilation import compile_nothing_on_cpu
from grpo.runtime.out_of_memory import is_out_of_memory
from grpo.runtime.system_needs import missing_needs
from grpo.spec.rollout import EngineName, EngineSetting

HINTS = {
    "vllm": "vLLM's messages are in log.txt.  If another process uses the GPU, lower "
    "rollout.gpu_memory_fraction; a model that vLLM cannot run may run with "
    "rollout.engine: transformers.",
    "transformers": "Check that the model folder holds a causal language model's weights.",
}


def start_engine(
    name: EngineSetting,
    *,
    model_folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    dtype: str,
    max_model_tokens: int,
    max_batch: int,
    gpu_memory_fraction: float,
    context_tokens: int | None = None,
) -> RolloutEngine:
    """Load a whole model's folder into an engine.

    The tokenizer defines the tokens that end a completion, and decodes text for stop strings.
    `dtype` is torch's name of a dtype, `max_model_tokens` the maximum length of prompt plus
    completion, `max_batch` the maximum number of completions drawn at the same time,
    `context_tokens` a context length that overrides the config's.

    Raises:
        RunError: `rollout_engine_unavailable`, when the engine does not start.
    """
    compile_nothing_on_cpu()
    chosen = resolved_engine(name)
    if chosen == "vllm":
        _check_system()
    start = _starter(chosen)
    try:
        return start(
            model_folder=model_folder,
            tokenizer=tokenizer,
            end_ids=end_token_ids(model_folder, tokenizer),
            dtype=dtype,
            max_model_tokens=max_model_tokens,
            max_batch=max_batch,
            gpu_memory_fraction=gpu_memory_fraction,
            context_tokens=context_tokens,
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise  # reported with its own error code
        raise _failure(chosen, str(error) or type(error).__name__) from error


def resolved_engine(name: EngineSetting) -> EngineName:
    """Return the engine that `rollout.engine` resolves to on this machine.

    Raises:
        RunError: `rollout_engine_unavailable`.
    """
    installed = find_spec("vllm") is not None
    if name == "vllm" and not installed:
        raise RunError(
            "rollout_engine_unavailable",
            "vLLM is not installed",
            hint="Install it, or set rollout.engine to 'auto' or 'transformers'.",
        )
    if name == "auto":
        return "vllm" if installed else "transformers"
    return name


def _check_system() -> None:
    missing = missing_needs(gpu=torch.cuda.is_available())
    if missing:
        raise RunError(
            "rollout_engine_unavailable",
            "; ".join(missing),
            hint="Install it on the machine that trains, or set rollout.engine: transformers.",
        )


def _starter(name: EngineName) -> Callable[..., RolloutEngine]:
    """Return the engine's start function; importing vLLM takes seconds and changes the process."""
    if name == "vllm":
        from grpo.rollout.engines.vllm import start_vllm

        return start_vllm
    from grpo.rollout.engines.transformers import start_transformers

    return start_transformers


def _failure(name: str, cause: str) -> RunError:
    return RunError(
        "rollout_engine_unavailable",
        f"the rollout engine {name!r} did not start: {cause[:2000]}",
        hint=HINTS[name],
    )
