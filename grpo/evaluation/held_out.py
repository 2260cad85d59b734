"""Held-out accuracy: the share of correct completions on prompts outside the training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

from transformers import PreTrainedTokenizerBase

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.evaluation.metrics import CompletionResult, PromptResult, evaluation_metrics
from grpo.rewards.reward import Reward, judges
from grpo.rollout.decoding import decode
from grpo.rollout.drawing import draw
from grpo.rollout.early_scores import EarlyScores
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.rollout.scorer import (
    Candidate,
    Score,
    ScoreFailure,
    Scorer,
    is_right,
    too_many_failed,
)
from grpo.seeds import derive_seed
from grpo.spec.rollout import Evaluation, Rollout

PROBED = 8
"""Prompts whose first token is drawn with its log-probability, which all else is drawn without."""
Judged = tuple[CompletionResult, ScoreFailure | None]


class EvaluationStopped(Exception):
    """A stop was requested before the evaluation ended; a partial result is not comparable."""


def evaluate(
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    scorer: Scorer,
    *,
    rewards: Sequence[Reward],
    evaluation: Evaluation,
    rollout: Rollout,
    seed: int,
    stop: Callable[[], bool],
) -> dict[str, float]:
    """Return the `eval/...` metrics over at most `evaluation.limit` of the prompts.

    Accuracy is mean@samples: the share of completions that are right by the rewards that judge
    correctness; a completion whose reward failed is not right.  The draws' seeds do not
    depend on the step, so evaluations of two policies differ by the policy alone.

    Raises:
        EvaluationStopped: `stop` returned true.
        RunError: `reward_failed` or `reward_unavailable`, when not one completion could be scored.
    """
    evaluator = _Evaluator(engine, tokenizer, scorer, rewards, evaluation, rollout, seed)
    chosen = choose_prompts(prompts, limit=evaluation.limit)
    judged = evaluator.measure(chosen, stop)
    failures = [failure for _, failure in judged if failure is not None]
    if len(failures) == len(judged):
        raise _nothing_scored(failures)
    completions = iter(result for result, _ in judged)
    results = [
        PromptResult(prompt.source, tuple(islice(completions, evaluation.samples)))
        for prompt in chosen
    ]
    with_answers = any(reward.gives_answers for reward in rewards)
    of_services = {f"eval/{name}": count for name, count in scorer.take_metrics().items()}
    return {**evaluation_metrics(results, with_answers=with_answers), **of_services}


def choose_prompts(prompts: Sequence[Prompt], *, limit: int) -> list[Prompt]:
    """Return the first `limit` prompts, taken from the sources in turn until each is exhausted."""
    by_source: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_source.setdefault(prompt.source, []).append(prompt)
    in_turn = (prompt for turn in zip_longest(*by_source.values()) for prompt in turn if prompt)
    return list(islice(in_turn, limit))


@dataclass(frozen=True)
class _Evaluator:
    """Draws the policy's completions of held-out prompts, and scores them."""

    engine: RolloutEngine
    tokenizer: PreTrainedTokenizerBase
    scorer: Scorer
    rewards: Sequence[Reward]
    evaluation: Evaluation
    rollout: Rollout
    seed: int

    def measure(self, prompts: Sequence[Prompt], stop: Callable[[], bool]) -> list[Judged]:
        """Draw and judge `samples` completions of each prompt, in the prompts' order.

        Those of a prompt are scored once all of them have ended, while others are drawn.
        """
        asked = [prompt for prompt in prompts for _ in range(self.evaluation.samples)]
        requests = [
            Request(prompt.token_ids, derive_seed(self.seed, "eval", 0, prompt.index, sibling))
            for prompt in prompts
            for sibling in range(self.evaluation.samples)
        ]
        self._probe(requests)
        scores = EarlyScores(
            self._judge_all, self.scorer.executor, together=self.evaluation.samples
        )
        for place, completion in draw(self.engine, requests, self._sampling()):
            if stop():
                raise EvaluationStopped
            scores.add(place, (asked[place], completion))
        return scores.results()

    def _probe(self, requests: Sequence[Request]) -> None:
        """
        Raises:
            RunError: `model_unusable`, where the first token's log-probability is not finite.
        """
        probe = replace(self._sampling(), max_tokens=1, logprobs=True)
        some = requests[:: self.evaluation.samples][:PROBED]
        for _ in draw(self.engine, some, probe):
            pass

    def _judge_all(self, drawn: Sequence[tuple[Prompt, Completion]]) -> list[Judged]:
        candidates = [
            Candidate(self._text(completion), len(completion.token_ids), prompt)
            for prompt, completion in drawn
        ]
        scores = self.scorer.score(candidates)
        answers = self.scorer.answers([candidate.text for candidate in candidates])
        return [
            (
                self._judge(completion, score, answer),
                score if isinstance(score, ScoreFailure) else None,
            )
            for (_, completion), score, answer in zip(drawn, scores, answers, strict=True)
        ]

    def _judge(
        self, completion: Completion, score: Score | ScoreFailure, answer: str | None
    ) -> CompletionResult:
        size, clipped = len(completion.token_ids), completion.finish_reason == "length"
        if isinstance(score, ScoreFailure):
            right = False if judges(self.rewards) else None
            return CompletionResult(right, None, answer, size, clipped)
        right = is_right(self.rewards, score)
        return CompletionResult(right, score.total, answer, size, clipped, score.parts)

    def _sampling(self) -> Sampling:
        return Sampling(
            self.evaluation.temperature,
            self.evaluation.top_p,
            self.evaluation.top_k,
            max_tokens=self.evaluation.max_tokens or self.rollout.max_tokens,
            stop=tuple(self.rollout.stop),
            logprobs=False,
        )

    def _text(self, completion: Completion) -> str:
        return decode(self.tokenizer, completion.token_ids, stop=self.rollout.stop)


def _nothing_scored(failures: Sequence[ScoreFailure]) -> RunError:
    return too_many_failed(
        failures,
        f"no held-out completion could be scored: {failures[0].message}",
        hint="Correct the reward, or the held-out data's answers.",
    )
