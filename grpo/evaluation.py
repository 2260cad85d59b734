"""Held-out accuracy: how often the policy is right on prompts it does not train on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from transformers import PreTrainedTokenizerBase

from grpo.data.prompts import Prompt
from grpo.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.rewards.reward import Reward
from grpo.scoring import Score, is_right, score
from grpo.seeds import derive_seed
from grpo.spec.rollout import Evaluation

COMPLETIONS_BETWEEN_STOPS = 1024  # a request to stop is noticed after at most so many


class EvaluationStopped(Exception):
    """`stop` said so before the evaluation was done; a part of it would be a different number."""


@dataclass(frozen=True)
class _Judged:
    completion: Completion
    score: Score
    right: bool


def evaluate(
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    rewards: Sequence[Reward],
    *,
    evaluation: Evaluation,
    max_tokens: int,
    seed: int,
    stop: Callable[[], bool],
) -> dict[str, float]:
    """The `eval/...` metrics over the first `evaluation.limit` prompts.

    Accuracy is mean@samples: the share of completions that are right.  The draws' seeds do not
    depend on the step, so evaluations of two policies differ by the policy alone.

    Raises:
        EvaluationStopped: `stop` returned true.
        RunError: a reward failed.
    """
    used = prompts[: evaluation.limit]
    sampling = Sampling(
        evaluation.temperature, evaluation.top_p, evaluation.top_k, max_tokens=max_tokens
    )
    judged: list[_Judged] = []
    for chunk in _chunks(used, max(1, COMPLETIONS_BETWEEN_STOPS // evaluation.samples)):
        if stop():
            raise EvaluationStopped
        asked = [(prompt, sibling) for prompt in chunk for sibling in range(evaluation.samples)]
        requests = [
            Request(prompt.token_ids, derive_seed(seed, "eval", 0, prompt.index, sibling))
            for prompt, sibling in asked
        ]
        for (prompt, _), completion in zip(asked, engine.generate(requests, sampling), strict=True):
            judged.append(_judge(completion, prompt, tokenizer=tokenizer, rewards=rewards))
    return {
        "eval/accuracy": fmean(one.right for one in judged),
        "eval/reward": fmean(one.score.total for one in judged),
        "eval/completions/mean_length": fmean(len(one.completion.token_ids) for one in judged),
        "eval/completions/clipped_ratio": fmean(
            one.completion.finish_reason == "length" for one in judged
        ),
        "eval/num_prompts": len(used),
        "eval/samples": evaluation.samples,
    }


def _judge(
    completion: Completion,
    prompt: Prompt,
    *,
    tokenizer: PreTrainedTokenizerBase,
    rewards: Sequence[Reward],
) -> _Judged:
    text = str(tokenizer.decode(list(completion.token_ids), skip_special_tokens=True))
    scored = score(rewards, text=text, prompt=prompt)
    return _Judged(completion, scored, is_right(rewards, scored))


def _chunks(prompts: Sequence[Prompt], size: int) -> Iterator[Sequence[Prompt]]:
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]
