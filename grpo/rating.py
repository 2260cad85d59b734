"""The held-out accuracy of a model folder, measured as a run measures it."""

from contextlib import closing
from pathlib import Path

from grpo.assembly import start
from grpo.data.prompts import load_prompts
from grpo.evaluation import evaluate
from grpo.model_source import load_tokenizer
from grpo.spec.job import JobSpec


def rate(spec: JobSpec, folder: Path, *, data: str) -> dict[str, float]:
    """The `eval/...` metrics on a JSONL file or a built-in data set, with the spec's settings.

    On the run's own held-out prompts a checkpoint gets the score that the run reported for it.

    Raises:
        RunError: the model, the data or the engine cannot be used.
    """
    tokenizer = load_tokenizer(folder)
    held_out = load_prompts(
        data,
        data=spec.data,
        tokenizer=tokenizer,
        max_prompt_tokens=spec.data.max_prompt_tokens,
    )
    with closing(start(spec, folder, tokenizer)) as engine:
        return evaluate(
            engine,
            tokenizer,
            held_out.prompts,
            spec.rewards,
            evaluation=spec.evaluation,
            max_tokens=spec.rollout.max_tokens,
            seed=spec.seed,
            stop=lambda: False,
        )
