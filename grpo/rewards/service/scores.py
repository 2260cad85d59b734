"""Scores of rewards that services compute, asked for by threads; each question once."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Self

from grpo.rewards.grading import Failed
from grpo.rewards.reward import Case
from grpo.rewards.service.access import ServiceAccess
from grpo.rewards.service.calls import CallFailed, Calls
from grpo.rewards.service.kept_scores import KeptScores
from grpo.rewards.service.pace import Closed
from grpo.rewards.service.question import Question
from grpo.rewards.service.service_reward import ServiceReward

Outcomes = list[float | Failed]
Answers = dict[str, float | Failed]


class ServiceScores:
    """Asks services for scores: each reward has threads of its own, as many as it allows requests
    at the same time.

    `kept`: scores known from before; None: none are kept.
    """

    def __init__(
        self, rewards: Sequence[ServiceReward], access: ServiceAccess, *, kept: KeptScores | None
    ) -> None:
        """
        Raises:
            SecretMissing: a reward's secret is not there, or cannot be used.
        """
        for reward in rewards:
            reward.check_access(access)
        self._closing = threading.Event()
        self._access = access
        self._kept = kept
        self._asking = [_Asking(reward, access, self._closing) for reward in rewards]

    def start(self, number: int, cases: Sequence[Case]) -> Callable[[], Outcomes]:
        """Ask reward `number` for the scores of cases; return a function that waits for them."""
        asking = self._asking[number]
        asked = {each.key: each for each in asking.reward.questions(cases)}
        known = self._kept.find(list(asked)) if self._kept is not None else {}
        missing = [each for key, each in asked.items() if key not in known]
        asking.count(known=known, missing=[each.key for each in missing])
        batches = list(_batches(missing, asking.reward.together))
        waiting = [asking.threads.submit(asking.ask, batch, self._access) for batch in batches]

        def outcomes() -> Outcomes:
            found = _answers(batches, waiting)
            if self._kept is not None:
                self._kept.keep(
                    {key: score for key, score in found.items() if not isinstance(score, Failed)}
                )
            return asking.reward.scores(cases, {**known, **found})

        return outcomes

    def take_metrics(self) -> dict[str, float]:
        """Return what was asked since the last call."""
        metrics: dict[str, float] = {}
        for asking in self._asking:
            metrics |= asking.take_metrics()
        return metrics

    def close(self) -> None:
        """End all waiting; a request that is under way ends at its time limit."""
        self._closing.set()
        for asking in self._asking:
            asking.threads.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Asking:
    """One reward's threads, calls and counts."""

    def __init__(
        self, reward: ServiceReward, access: ServiceAccess, closing: threading.Event
    ) -> None:
        self.reward = reward
        self.calls: Calls = reward.open_calls(access, closing)
        self.threads = ThreadPoolExecutor(
            max_workers=reward.concurrency, thread_name_prefix=f"reward-{reward.part}"
        )
        self._cached: set[str] = set()
        self._asked: set[str] = set()

    def count(self, *, known: Iterable[str], missing: Iterable[str]) -> None:
        """Count questions, each once until the counts are taken, whichever are asked together."""
        self._cached |= set(known) - self._asked
        self._asked |= set(missing)

    def ask(self, asked: Sequence[Question], access: ServiceAccess) -> Outcomes:
        """Return a score or a failure for each question, whatever the service answers."""
        return [
            replace(each, cause=self.calls.shown(each.cause)) if isinstance(each, Failed) else each
            for each in self._ask(asked, access)
        ]

    def _ask(self, asked: Sequence[Question], access: ServiceAccess) -> Outcomes:
        try:
            return self.reward.ask(asked, self.calls, access)
        except CallFailed as failed:
            return [Failed(str(failed), outage=failed.outage)] * len(asked)
        except RecursionError:
            return [Failed("its answer is nested too deeply")] * len(asked)
        except Closed:
            return [Failed("the run ended before it was asked")] * len(asked)

    def take_metrics(self) -> dict[str, float]:
        counts = {
            "num_asked": len(self._asked),
            "num_cached": len(self._cached),
            **self.calls.take_counts(),
        }
        self._cached, self._asked = set(), set()
        return {f"services/{self.reward.part}/{name}": count for name, count in counts.items()}


def _answers(
    batches: Sequence[Sequence[Question]], waiting: Sequence["Future[Outcomes]"]
) -> Answers:
    return {
        asked.key: answer
        for batch, future in zip(batches, waiting, strict=True)
        for asked, answer in zip(batch, future.result(), strict=True)
    }


def _batches(asked: Sequence[Question], size: int) -> Iterator[list[Question]]:
    rest = iter(asked)
    while batch := list(islice(rest, size)):
        yield batch
