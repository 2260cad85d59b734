"""Chain additions: the built-in task, generated from seeds.

A problem is `7+5+9=`, three to six terms of 1..9; its answer is `21`.  A worked solution writes
down each partial sum and then the answer: `7+5=12;12+9=21#21`.
"""

from collections.abc import Iterator
from functools import cache
from random import Random

HELD_OUT_ROWS = 512
TRAINING_ROWS = 4096
TERMS = range(3, 7)
DIGITS = range(1, 10)
MISTAKES = (-2, -1, 1, 2)  # error added to a wrong partial sum

Problem = tuple[int, ...]
"""The terms to add."""


def training_rows() -> Iterator[dict[str, str]]:
    return map(_row, _distinct_problems()[HELD_OUT_ROWS:])


def held_out_rows() -> Iterator[dict[str, str]]:
    return map(_row, held_out_problems())


@cache
def held_out_problems() -> tuple[Problem, ...]:
    return _distinct_problems()[:HELD_OUT_ROWS]


def demonstrations(*, seed: int, mistake_probability: float) -> Iterator[tuple[str, str]]:
    """Yield endless (question, worked solution) pairs, none of a held-out problem.

    A partial sum is wrong with `mistake_probability`, and the rest continues from it: a model
    trained on these can add, but makes mistakes that it can unlearn.
    """
    held_out = frozenset(held_out_problems())
    random = Random(f"demonstrations {seed}")
    while True:
        problem = _draw(random)
        if problem not in held_out:
            solution = worked_solution(
                problem, random=random, mistake_probability=mistake_probability
            )
            yield question(problem), solution


def question(problem: Problem) -> str:
    return "+".join(map(str, problem)) + "="


def worked_solution(problem: Problem, *, random: Random, mistake_probability: float) -> str:
    partial, *terms = problem
    steps = []
    for term in terms:
        slip = random.choice(MISTAKES) if random.random() < mistake_probability else 0
        total = max(partial + term + slip, 1)
        steps.append(f"{partial}+{term}={total}")
        partial = total
    return f"{';'.join(steps)}#{partial}"


@cache
def _distinct_problems() -> tuple[Problem, ...]:
    """Return the held-out and the training problems, from one seeded stream without repetition."""
    random = Random("arithmetic")
    seen: dict[Problem, None] = {}
    while len(seen) < HELD_OUT_ROWS + TRAINING_ROWS:
        seen.setdefault(_draw(random))
    return tuple(seen)


def _draw(random: Random) -> Problem:
    return tuple(random.choice(DIGITS) for _ in range(random.choice(TERMS)))


def _row(problem: Problem) -> dict[str, str]:
    return {"question": question(problem), "answer": str(sum(problem))}
