"""Preflight of a spec's rewards on synthetic right, wrong, empty and huge completions, before
training: a reward that cannot tell right from wrong costs a whole run without any learning."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal, get_args

from grpo.rewards.reward import Case, Reward
from grpo.rewards.tryout import Trial, Tryout

Kind = Literal["right", "wrong", "empty", "huge"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""right: the row's answer where the reward reads it; wrong: another row's answer; huge: a wrong
answer repeated up to rollout.max_tokens or HUGE_CHARACTERS."""

HUGE_CHARACTERS = 200_000
CHARACTERS_A_TOKEN = 4  # approximate for English: no tokenizer is available here
SHOWN_CHARACTERS = 100


@dataclass(frozen=True)
class KindResult:
    """Results for one kind of completion: the first one's text, and a trial for each row, None
    without a completion."""

    text: str
    trials: tuple[Trial | None, ...]

    @property
    def scores(self) -> list[float | None]:
        return [trial and trial.score for trial in self.trials]


@dataclass(frozen=True)
class Report:
    """A reward's results by kind; kinds without a known completion are missing.

    `guide`: the reward that defines a right completion.
    """

    reward: Reward
    guide: Reward | None
    kinds: Mapping[Kind, KindResult]

    @property
    def warnings(self) -> list[str]:
        """Return warnings for the spec's author."""
        trials = [trial for result in self.kinds.values() for trial in result.trials if trial]
        failed = [trial.error for trial in trials if trial.error is not None]
        warnings = []
        if failed:
            warnings.append(
                f"{len(failed)} of {len(trials)} completions could not be scored: {failed[0]}"
            )
        if (blind := self._blindness()) is not None:
            warnings.append(blind)
        elif not failed and self.guide is not None and len({trial.score for trial in trials}) == 1:
            warnings.append(f"it scores every completion {trials[0].score:g}, even an empty one")
        return warnings

    def _blindness(self) -> str | None:
        right, wrong = self.kinds.get("right"), self.kinds.get("wrong")
        if right is None or wrong is None or not self._expects_answer:
            return None
        pairs = [
            (good, bad)
            for good, bad in zip(right.scores, wrong.scores, strict=True)
            if good is not None and bad is not None
        ]
        sign = -1 if self.reward.weight < 0 else 1  # a negative weight is for unwanted properties
        if not pairs or any(sign * good > sign * bad for good, bad in pairs):
            return None
        return (
            f"it cannot tell right from wrong: {right.text[:SHOWN_CHARACTERS]!r} scores "
            f"{pairs[0][0]:g}, {wrong.text[:SHOWN_CHARACTERS]!r} scores {pairs[0][1]:g}"
        )

    @property
    def _expects_answer(self) -> bool:
        """Whether the reward is expected to compare; an author's code is, if there is a guide."""
        return self.reward.expects_answer or self.guide is not self.reward


def preflight(tryout: Tryout, rows: Sequence[Case], *, max_tokens: int) -> list[Report]:
    """Return the results of each reward on each kind of completion of each row.

    Cheap rewards come first and huge completions last, so that only the most expensive trials are
    missing when time runs out.

    Args:
        rows: cases whose answers and fields are used; their texts are not.
    """
    guides = [_guide(tryout.rewards, reward, rows) for reward in tryout.rewards]
    cases = [_cases(guide, rows, max_tokens) for guide in guides]
    by_cost = sorted(range(len(cases)), key=lambda number: not tryout.rewards[number].cheap)
    trials: dict[tuple[int, Kind], list[Trial | None]] = {}
    for kind in KINDS:
        for place in range(len(rows)):
            for number in by_cost:
                case = cases[number][kind][place]
                trial = None if case is None else tryout.score(number, case)
                trials.setdefault((number, kind), []).append(trial)
    return [
        Report(reward, guides[number], dict(_kind_results(number, cases[number], trials)))
        for number, reward in enumerate(tryout.rewards)
    ]


def _kind_results(
    number: int,
    cases: Mapping[Kind, Sequence[Case | None]],
    trials: Mapping[tuple[int, Kind], Sequence[Trial | None]],
) -> Iterator[tuple[Kind, KindResult]]:
    for kind in KINDS:
        if first := next(filter(None, cases[kind]), None):
            yield kind, KindResult(first.text, tuple(trials[number, kind]))


def _guide(rewards: Sequence[Reward], reward: Reward, rows: Sequence[Case]) -> Reward | None:
    """Return the reward that supplies right completions: itself, or for the author's own code the
    first other one that can."""
    candidates = [reward, *rewards] if reward.runs_python else [reward]
    return next((one for one in candidates if any(_right(one, row) for row in rows)), None)


def _cases(
    guide: Reward | None, rows: Sequence[Case], max_tokens: int
) -> dict[Kind, list[Case | None]]:
    """Return each kind's completion for each row."""
    rights = [None if guide is None else _right(guide, row) for row in rows]
    wrongs = [_another(rights, place) for place in range(len(rows))]
    return {
        "right": [_case(row, text) for row, text in zip(rows, rights, strict=True)],
        "wrong": [_case(row, text) for row, text in zip(rows, wrongs, strict=True)],
        "empty": [_case(row, "") for row in rows],
        "huge": [_huge(row, text, max_tokens) for row, text in zip(rows, wrongs, strict=True)],
    }


def _right(guide: Reward, row: Case) -> str | None:
    try:
        return guide.completion_for(row)
    except ValueError:
        return None  # scoring fails for the same reason, and reports it


def _another(rights: Sequence[str | None], place: int) -> str | None:
    """Return the right completion of the next row that has a different one."""
    others = [*rights[place + 1 :], *rights[:place]]
    return next((text for text in others if text not in (None, rights[place])), None)


def _case(row: Case, text: str | None) -> Case | None:
    return None if text is None else replace(row, text=text, num_tokens=num_tokens(text))


def _huge(row: Case, wrong: str | None, max_tokens: int) -> Case:
    unit = f"{wrong or row.answer or 'text'}\n"
    num_characters = min(max_tokens * CHARACTERS_A_TOKEN, HUGE_CHARACTERS)
    text = (unit * ceil(num_characters / len(unit)))[:num_characters]
    return replace(row, text=text, num_tokens=max_tokens)


def num_tokens(text: str) -> int:
    """About."""
    return ceil(len(text) / CHARACTERS_A_TOKEN)
