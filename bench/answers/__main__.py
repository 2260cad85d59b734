"""Number of answers of public data sets that a reward accepts and finds equal to themselves.

`DUET_GSM8K=DIR python -m bench.answers` prints the table of docs/rewards.md.  Each further argument
is a JSONL file and the field with its answers or with solutions that end in a box, as in
math500.jsonl:answer and MATH.jsonl:solution.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from grpo.data.files import read_rows
from grpo.rewards.answers.final_answer import boxed
from grpo.rewards.math import MathReward
from grpo.rewards.number import NumberReward
from grpo.rewards.reward import Case, Reward, text_after

FORMS = ("{}", r"\boxed{{{}}}", "First 17.\n\n**Final answer:** {}")
FORMS_OF_FORMULAS = (*FORMS, r"The answer is ${}$.")


def answers_of(path: Path, field: str, *, after: str | None = None) -> list[str]:
    """Return each row's answer; `after`: only the text after this marker."""
    found = [str(row.fields[field]) for row in read_rows(path)]
    if field == "solution":
        return [boxed(solution) or solution for solution in found]
    return found if after is None else [text_after(answer, after) or "" for answer in found]


def counts(reward: Reward, answers: Sequence[str]) -> tuple[int, int]:
    """Return the number of usable answers, and of those that score 1 in every form."""
    usable = equal = 0
    for answer in answers:
        try:
            reward.check_answer(Case("", 0, answer))
        except ValueError:
            continue
        usable += 1
        formulas = FORMS if "$" in answer else FORMS_OF_FORMULAS
        forms = formulas if reward.type == "math" else FORMS[:1]  # pyright: ignore[reportAttributeAccessIssue]
        equal += all(reward.score(Case(form.format(answer), 1, answer)) == 1 for form in forms)
    return usable, equal


def main(arguments: Sequence[str]) -> None:
    sets: dict[str, list[str]] = {}
    if folder := os.environ.get("DUET_GSM8K"):
        for split in ("test", "train"):
            path = Path(folder) / f"{split}.jsonl"
            sets[f"GSM8K, {split}"] = answers_of(path, "answer", after="####")
    pairs = Path("tests/unit/math_pairs.jsonl").read_text("utf-8").splitlines()
    sets["the pairs of the tests"] = sorted({json.loads(line)["answer"] for line in pairs})
    for argument in arguments:
        name, _, field = argument.rpartition(":")
        sets[Path(name).stem] = answers_of(Path(name), field)
    print("| answers | reward | number | can be used | equal themselves |\n|---|---|---|---|---|")
    for name, answers in sets.items():
        for reward in (NumberReward(type="number"), MathReward(type="math")):
            usable, equal = counts(reward, answers)
            share = f"{equal} ({equal / max(usable, 1):.1%})"
            print(f"| {name} | `{reward.type}` | {len(answers)} | {usable} | {share} |")


if __name__ == "__main__":
    main(sys.argv[1:])
