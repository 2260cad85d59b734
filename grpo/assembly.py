"""Assembly of a run's parts: model, data, engine, policy, optimizer."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from grpo.data.prompts import PromptSet, load_prompts
from grpo.errors import RunError
from grpo.learning.optimizer import make_optimizer
from grpo.learning.room import check_room
from grpo.models.compatibility import check_compatibility
from grpo.models.context import context_of, read_config
from grpo.models.locate import ModelFolder, locate_model, open_folder
from grpo.models.policy import Precision, load_policy
from grpo.models.reference import load_reference
from grpo.models.supported import check_supported
from grpo.parts import Parts
from grpo.reporting.reporter import Phase
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.kept_scores import KeptScores
from grpo.rollout.baseline_memory import BaselineMemory
from grpo.rollout.engines.engine import RolloutEngine
from grpo.rollout.engines.start import start_engine
from grpo.rollout.scorer import Scorer
from grpo.spec.data import Data
from grpo.spec.job import JobSpec

COMPLETIONS_AT_ONCE = 512  # an engine's batch: larger ones are no faster and need more memory


@dataclass(frozen=True)
class Assembly:
    parts: Parts
    warnings: list[str]


def assemble(
    spec: JobSpec,
    *,
    model_folder: Path | None,
    phase: Callable[[Phase], None],
    allow_python: bool = False,
    hub_owners: Collection[str] | None = None,
    access: ServiceAccess | None = None,
    kept: KeptScores | None = None,
) -> Assembly:
    """Load all parts of a run, starting with parts that fail quickly.

    `model_folder`: the checkpoint's, if the run resumes from one.  `allow_python`: the spec's
    rewards may run Python code, in a sandbox.  `hub_owners`: the hub owners, in lower case, whose
    models adapters may use as their base; None: all owners.  `access`, `kept`: as `Scorer` takes
    them.

    Raises:
        RunError: the model, the data, a reward or the engine cannot be used.
    """
    phase("loading")
    # An adapter's checkpoint does not hold the whole model: its base is the run's initial model.
    initial = cache(partial(locate_model, spec.model, hub_owners=hub_owners))
    if model_folder is not None and spec.model.lora is None:
        folder = open_folder(model_folder, hub_owners=hub_owners)
    else:
        folder = initial()
    check_supported(read_config(folder.whole))
    tokenizer = folder.load_tokenizer()
    check_context(spec, context_of(folder, spec.model.context_tokens))
    data = spec.data
    scorer = Scorer(spec.rewards, spec.scoring, allow_python=allow_python, access=access, kept=kept)
    training, held_out, tested = _load_data(data, tokenizer, scorer)
    policy = load_policy(
        folder,
        spec.model,
        checkpoint=model_folder,
        seed=spec.seed,
        device=device(),
        precision=precision(spec),
    )
    warnings = check_compatibility(
        spec,
        folder=folder.whole,
        model=policy.model,
        tokenizer=tokenizer,
        prompts=[*training.prompts, *held_out.prompts, *tested.prompts],
    )
    reference = None
    if spec.algorithm.kl.beta > 0:
        reference = load_reference(policy, initial, context_tokens=spec.model.context_tokens)
    phase("starting_engine")
    check_room(spec, policy.model, reference and reference.model)
    engine = start(spec, folder, tokenizer)
    return Assembly(
        Parts(
            policy=policy,
            optimizer=make_optimizer(policy.model, spec.optimizer),
            reference=reference,
            engine=engine,
            tokenizer=tokenizer,
            scorer=scorer,
            training=training,
            held_out=held_out.prompts,
            tested=tested.prompts,
            memory=_memory(spec, training),
        ),
        [
            *training.warnings,
            *held_out.warnings,
            *tested.warnings,
            *_warn_too_long("training", training.num_too_long, data),
            *_warn_too_long("held-out", held_out.num_too_long, data),
            *_warn_too_long("test", tested.num_too_long, data),
            *warnings,
            *_warn_emulated(precision(spec)),
        ],
    )


def _memory(spec: JobSpec, training: PromptSet) -> BaselineMemory | None:
    remembers = spec.algorithm.advantage.baseline == "memory"
    return BaselineMemory(len(training.prompts)) if remembers else None


def _load_data(
    data: Data, tokenizer: PreTrainedTokenizerBase, scorer: Scorer
) -> tuple[PromptSet, PromptSet, PromptSet]:
    """Load the training, held-out and test prompts, with every answer checked by the rewards.

    Raises:
        RunError: the data cannot be used; the scorer is closed.
    """
    load = partial(load_prompts, data=data, tokenizer=tokenizer, check_answers=scorer.check_answers)
    try:
        return (
            load(data.train_sources, split="train"),
            load(data.eval_sources, split="test"),
            load(data.test_sources, split="test"),
        )
    except BaseException:
        scorer.close()
        raise


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(spec: JobSpec) -> Precision:
    if spec.model.dtype != "auto":
        return spec.model.dtype
    return "bfloat16" if device().type == "cuda" else "float32"


def _warn_emulated(precision: Precision) -> list[str]:
    """Return a warning if half precision is emulated: each operation converts to float32 and
    back."""
    if precision == "float16" and not torch.cuda.is_available():
        return ["model.dtype float16 is slow without a GPU; set model.dtype to float32"]
    if precision != "bfloat16" or computes_bfloat16():
        return []
    return [
        "model.dtype bfloat16 is emulated on this machine, whose processor has no instructions for "
        "it: many times slower than float32; set model.dtype to float32"
    ]


def computes_bfloat16(processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the GPU or the processor (avx512_bf16, amx_bf16, Arm's bf16) supports bfloat16."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return re.search(r"\b(\w+_)?bf16\b", processor.read_text()) is not None


def start(spec: JobSpec, folder: ModelFolder, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
    """Start the spec's rollout engine on a model; for an adapter, on its base."""
    completions = spec.algorithm.prompts_per_step * spec.algorithm.group_size
    return start_engine(
        spec.rollout.engine,
        model_folder=folder.whole,  # an adapter reaches the engine as merged weights
        tokenizer=tokenizer,
        dtype=precision(spec),
        max_model_tokens=spec.data.max_prompt_tokens + spec.longest_completion,
        max_batch=min(completions, COMPLETIONS_AT_ONCE),
        gpu_memory_fraction=spec.rollout.gpu_memory_fraction,
        context_tokens=spec.model.context_tokens,
    )


def check_context(spec: JobSpec, context: int) -> None:
    """
    Raises:
        RunError: `context_too_short`.
    """
    needed = spec.data.max_prompt_tokens + spec.longest_completion
    if needed > context:
        raise RunError(
            "context_too_short",
            f"prompts of up to {spec.data.max_prompt_tokens} tokens and completions of up to "
            f"{spec.longest_completion} need a context of {needed}; the model's is {context}",
            hint="Lower data.max_prompt_tokens or rollout.max_tokens; or set model.context_tokens "
            f"to {needed}, which exceeds the length that the model was trained on.",
        )


def _warn_too_long(which: str, num_too_long: int, data: Data) -> list[str]:
    if num_too_long == 0:
        return []
    done = "lose their beginning" if data.too_long == "cut_left" else "are left out"
    return [
        f"{num_too_long} {which} prompts are longer than {data.max_prompt_tokens} tokens and {done}"
    ]
