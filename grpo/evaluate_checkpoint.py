"""Held-out accuracy of a model folder, measured as during training."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from grpo.assembly import check_context, device, start
from grpo.data.prompts import Prompt, load_prompts
from grpo.evaluation.held_out import evaluate
from grpo.models.context import context_of
from grpo.models.locate import ModelFolder, open_folder
from grpo.models.policy import load_model
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.kept_scores import kept_for_now
from grpo.rollout.scorer import Scorer
from grpo.spec.data import DataSource
from grpo.spec.job import JobSpec


def rate(
    spec: JobSpec,
    folder: Path,
    *,
    sources: Sequence[DataSource],
    allow_python: bool,
    access: ServiceAccess | None = None,
) -> dict[str, float]:
    """Return the `eval/...` metrics on the prompts of some sources, with the spec's settings.

    On the run's held-out prompts, the result equals the one that the run reported for the
    checkpoint: the scores of services that are kept in it are not asked for again.

    Raises:
        RunError: the model, the data, a reward or the engine cannot be used.
    """
    model = open_folder(folder)
    tokenizer = model.load_tokenizer()
    check_context(spec, context_of(model, spec.model.context_tokens))
    with ExitStack() as closed:
        kept = closed.enter_context(kept_for_now(folder))
        scorer = Scorer(
            spec.rewards, spec.scoring, allow_python=allow_python, access=access, kept=kept
        )
        closed.enter_context(closing(scorer))
        held_out = load_prompts(
            sources,
            data=spec.data,
            tokenizer=tokenizer,
            split="test",
            check_answers=scorer.check_answers,
        )
        return _rated(spec, model, tokenizer, held_out.prompts, scorer)


def _rated(
    spec: JobSpec,
    folder: ModelFolder,
    tokenizer: PreTrainedTokenizerBase,
    held_out: Sequence[Prompt],
    scorer: Scorer,
) -> dict[str, float]:
    # Loaded before the engine, which may modify the model's class: see `start_vllm`.
    merged = load_model(folder, device=device()).state_dict() if folder.base else None
    with closing(start(spec, folder, tokenizer)) as engine:
        if merged is not None:  # the engine has started from the base
            engine.load_weights(merged)
        return evaluate(
            engine,
            tokenizer,
            held_out,
            scorer,
            rewards=spec.rewards,
            evaluation=spec.evaluation,
            rollout=spec.rollout,
            seed=spec.seed,
            stop=lambda: False,
        )
