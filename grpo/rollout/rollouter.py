"""The rollouter: draws completions of groups from the engine, decodes and scores them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from transformers import PreTrainedTokenizerBase

from grpo.data.prompts import Prompt
from grpo.rollout.decoding import decode
from grpo.rollout.drawing import draw
from grpo.rollout.early_scores import EarlyScores
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling
from grpo.rollout.groups import Rollout
from grpo.rollout.scorer import Candidate, Score, ScoreFailure, Scorer, is_right, overlong_penalty
from grpo.runtime.stopwatch import Stopwatch
from grpo.seeds import derive_seed
from grpo.spec.job import JobSpec

Penalise = Callable[[Sequence[Rollout]], list[Rollout]]
"""A function that adds penalties to rollouts; training uses reward plus penalty."""


@dataclass(frozen=True)
class PartialGroup:
    """A group in collection.  `draw` distinguishes the draws of one prompt in a step."""

    prompt: Prompt
    draw: int
    rollouts: tuple[Rollout, ...] = ()

    @property
    def key(self) -> tuple[int, int]:
        return self.prompt.index, self.draw


Asked = tuple[PartialGroup, int]
"""A completion to draw: its group, and its place among the siblings."""


@dataclass
class DrawCounts:
    """Counts of a step's draws so far."""

    step: int
    draws: Counter[int] = field(default_factory=Counter)  # by prompt
    failures: list[ScoreFailure] = field(default_factory=list)
    num_skipped: int = 0  # groups left out because a reward failed
    num_rollouts: int = 0
    num_tokens: int = 0  # of prompts and completions

    @property
    def only_timeouts(self) -> bool:
        """Whether every failure is a scoring timeout."""
        return all(failure.timed_out for failure in self.failures)


class Rollouter:
    """Completes groups.  `penalise` is applied to the rollouts of each draw."""

    def __init__(
        self,
        spec: JobSpec,
        *,
        engine: RolloutEngine,
        tokenizer: PreTrainedTokenizerBase,
        scorer: Scorer,
        stopwatch: Stopwatch,
        penalise: Penalise | None,
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._tokenizer = tokenizer
        self._scorer = scorer
        self._stopwatch = stopwatch
        self._penalise = penalise

    def complete(
        self, groups: Sequence[PartialGroup], more: int, counts: DrawCounts
    ) -> list[PartialGroup]:
        """Add `more` scored completions to each group; a group with a failed score is left out."""
        asked = [
            (group, len(group.rollouts) + sibling) for group in groups for sibling in range(more)
        ]
        rollouts = self._rollouts(asked, more, counts)
        completed: list[PartialGroup] = []
        for place, group in enumerate(groups):
            fresh = rollouts[place * more : (place + 1) * more]
            failures = [one for one in fresh if isinstance(one, ScoreFailure)]
            counts.failures += failures
            counts.num_skipped += bool(failures)
            scored = [one for one in fresh if isinstance(one, Rollout)]
            if not failures:
                completed.append(replace(group, rollouts=(*group.rollouts, *scored)))
        return completed

    def _rollouts(
        self, asked: Sequence[Asked], more: int, counts: DrawCounts
    ) -> list[Rollout | ScoreFailure]:
        """Draw the completions; those of a group are scored once all of them have ended, while
        others are drawn."""
        scores = EarlyScores(
            partial(self._score, counts.step), self._scorer.executor, together=more
        )
        requests = self._requests(asked, counts.step)
        with self._stopwatch.measure("rollout"):
            for place, completion in draw(self._engine, requests, self._sampling()):
                counts.num_tokens += len(completion.token_ids)
                scores.add(place, (asked[place], completion))
        counts.num_rollouts += len(requests)
        counts.num_tokens += sum(len(request.prompt_ids) for request in requests)
        with self._stopwatch.measure("reward"):
            judged = scores.results()
        return self._penalised(judged)

    def _requests(self, asked: Sequence[Asked], step: int) -> list[Request]:
        seed = self._spec.seed
        return [
            Request(
                group.prompt.token_ids,
                derive_seed(seed, "rollout", step, group.draw, group.prompt.index, sibling),
            )
            for group, sibling in asked
        ]

    def _sampling(self) -> Sampling:
        rollout = self._spec.rollout
        return Sampling(
            rollout.temperature, rollout.top_p, 0, rollout.max_tokens, stop=tuple(rollout.stop)
        )

    def _score(
        self, step: int, drawn: Sequence[tuple[Asked, Completion]]
    ) -> list[Rollout | ScoreFailure]:
        candidates = [
            Candidate(
                decode(self._tokenizer, completion.token_ids, stop=self._spec.rollout.stop),
                len(completion.token_ids),
                group.prompt,
                step,
                group.draw,
            )
            for (group, _), completion in drawn
        ]
        return [
            self._judge(sibling, completion, candidate, score)
            for ((_, sibling), completion), candidate, score in zip(
                drawn, candidates, self._scorer.score(candidates), strict=True
            )
        ]

    def _judge(
        self,
        sibling: int,
        completion: Completion,
        candidate: Candidate,
        score: Score | ScoreFailure,
    ) -> Rollout | ScoreFailure:
        if isinstance(score, ScoreFailure):
            return score
        right = is_right(self._spec.rewards, score)
        score = self._shaped(score, candidate)
        return Rollout(candidate.prompt, sibling, completion, candidate.text, score, right)

    def _shaped(self, score: Score, candidate: Candidate) -> Score:
        """Return the score with DAPO's overlong penalty if the spec enables it."""
        algorithm = self._spec.algorithm
        if algorithm.truncated != "shape":
            return score
        penalty = overlong_penalty(
            candidate.num_tokens,
            max_tokens=self._spec.rollout.max_tokens,
            overlong=algorithm.overlong,
        )
        parts = {**score.parts, "overlong": penalty}
        weights = {**score.weights, "overlong": 1.0}
        return Score(score.total + penalty, parts, weights)

    def _penalised(self, judged: list[Rollout | ScoreFailure]) -> list[Rollout | ScoreFailure]:
        if self._penalise is None:
            return judged
        penalised = iter(self._penalise([one for one in judged if isinstance(one, Rollout)]))
        return [next(penalised) if isinstance(one, Rollout) else one for one in judged]
