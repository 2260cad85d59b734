"""`python -m bench.paper.policies TASK OUT`: the small base policy of a reasoning-gym task.

Made as `tiny-arithmetic` is (`grpo.builtin.recipe`): supervised learning, from random weights, of
solutions in which each part is wrong with some probability, a habit that reinforcement learning can
unlearn.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from bench.paper.setting import GYM_PARAMETERS, asked
from grpo.data.gym_rows import generated

FIRST_SEED = 10
"""Seed of the demonstrations; training and held-out rows have the seeds 0 to 2."""
ROWS = 20_000  # per seed
STEPS = {"spell_backward": 400, "letter_counting": 400}
MISTAKE_PROBABILITY = {"spell_backward": 0.1, "letter_counting": 0.2}


def main(task: str, out: str) -> None:
    """Train a task's policy and save it as a Hugging Face folder."""
    from grpo.builtin.recipe import make_policy  # loads torch

    make_policy(Path(out), steps=STEPS[task], pairs=demonstrations(task))


def demonstrations(task: str) -> Iterator[tuple[str, str]]:
    """Yield endless (prompt, solution) pairs."""
    random, mistake = Random(f"demonstrations {task}"), MISTAKE_PROBABILITY[task]
    for seed in count(FIRST_SEED):
        for row in generated(task, GYM_PARAMETERS[task], seed=seed, size=ROWS):
            solution = SOLUTIONS[task](row, random, mistake)
            if solution is not None:
                yield asked(row["question"]), solution


def spelled(row: Mapping[str, Any], random: Random, mistake: float) -> str | None:
    """Return the word backward; a wrong letter is another one of the word."""
    word = row["answer"]
    return "".join(random.choice(word) if random.random() < mistake else one for one in word)


def counted(row: Mapping[str, Any], random: Random, mistake: float) -> str | None:
    """Return each word with its count of the letter, and the sum: `free0 tree0 the1#1`.

    None: the library counts in another way.
    """
    found = re.search(r'letter "(.)" appear in the text: "(.*)"', row["question"])
    if found is None:
        return None
    letter, words = found[1], found[2].split()
    counts = [word.lower().count(letter) for word in words]
    if str(sum(counts)) != row["answer"]:
        return None
    said = [max(n + random.choice((-1, 1)), 0) if random.random() < mistake else n for n in counts]
    listed = " ".join(f"{word}{n}" for word, n in zip(words, said, strict=True))
    return f"{listed}#{sum(said)}"


SOLUTIONS: Mapping[str, Callable[[Mapping[str, Any], Random, float], str | None]] = {
    "spell_backward": spelled,
    "letter_counting": counted,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
