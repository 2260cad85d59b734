"""The metrics of one evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from grpo.evaluation.pass_at_k import majority_is_right, pass_at_k, pass_sizes


@dataclass(frozen=True)
class CompletionResult:
    """The result of one completion of a held-out prompt."""

    right: bool | None  # None: no reward judges correctness
    reward: float | None  # None: it could not be scored
    answer: str | None  # None: it gives no answer
    num_tokens: int
    clipped: bool  # cut off at max_tokens
    parts: Mapping[str, float] = field(default_factory=dict)  # each reward's, before its weight


@dataclass(frozen=True)
class PromptResult:
    """The results of one held-out prompt's completions, in the order drawn."""

    source: str
    completions: tuple[CompletionResult, ...]

    @property
    def num_right(self) -> int:
        return sum(bool(one.right) for one in self.completions)

    @property
    def majority_is_right(self) -> bool:
        answers = [one.answer for one in self.completions]
        return majority_is_right(answers, [bool(one.right) for one in self.completions])


def evaluation_metrics(results: Sequence[PromptResult], *, with_answers: bool) -> dict[str, float]:
    """Return the `eval/...` metrics, overall and by source if there are several.

    Where no reward judges correctness, accuracy, pass@k and majority are absent.  `with_answers`:
    completions give answers that can be compared, so that a majority exists.  Every prompt has the
    same number of completions.  A source in which nothing was scored has no reward metric.
    """
    completions = [one for prompt in results for one in prompt.completions]
    sources = list(dict.fromkeys(prompt.source for prompt in results))
    by_source: dict[str, float] = {}
    for source in sources if len(sources) > 1 else []:
        of_source = [prompt for prompt in results if prompt.source == source]
        scores = _scores(of_source, with_answers=with_answers)
        by_source |= {f"eval/{source}/{name}": value for name, value in scores.items()}
    scores = _scores(results, with_answers=with_answers)
    return {
        **{f"eval/{name}": value for name, value in scores.items()},
        "eval/num_failed": sum(one.reward is None for one in completions),
        "eval/completions/mean_length": fmean(one.num_tokens for one in completions),
        "eval/completions/clipped_ratio": fmean(one.clipped for one in completions),
        "eval/num_prompts": len(results),
        "eval/samples": len(results[0].completions),
        **by_source,
    }


def as_test(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return an evaluation's metrics under the names used for `data.test`."""
    return {name.replace("eval/", "test/", 1): value for name, value in metrics.items()}


def _scores(results: Sequence[PromptResult], *, with_answers: bool) -> dict[str, float]:
    """Return the metrics of these prompts, under names without prefix."""
    completions = [one for prompt in results for one in prompt.completions]
    right = [one.right for one in completions if one.right is not None]
    scores = _correctness(results, right, with_answers=with_answers) if right else {}
    scored = [one for one in completions if one.reward is not None]
    if scored:
        scores["reward"] = fmean(one.reward for one in scored if one.reward is not None)
        for part in scored[0].parts:
            scores[f"rewards/{part}/mean"] = fmean(one.parts[part] for one in scored)
    return scores


def _correctness(
    results: Sequence[PromptResult], right: Sequence[bool], *, with_answers: bool
) -> dict[str, float]:
    samples = len(results[0].completions)
    scores = {"accuracy": fmean(right)}
    for k in pass_sizes(samples):
        scores[f"pass@{k}"] = fmean(
            pass_at_k(num_samples=samples, num_right=prompt.num_right, k=k) for prompt in results
        )
    if with_answers and samples > 1:
        scores[f"majority@{samples}"] = fmean(prompt.majority_is_right for prompt in results)
    return scores
