r"""The last formulas of a text that states no answer: between dollars, or in plain text."""

import re
from collections.abc import Iterator

from grpo.rewards.answers.final_answer import MATHEMATICS
from grpo.rewards.answers.notation import THOUSANDS, plain_characters

WINDOW = 2_000
"""Characters at the text's end that are searched."""
MAX_FORMULAS = 4
AMOUNT = re.compile(r"\d[\d.,]*\s.*\s", re.DOTALL)
"""Text between two prices: $4 and gets $1."""
RUN = re.compile(
    r"(?:\\[a-zA-Z]++|(?:sqrt|sin|cos|tan|ln|log|pi)(?![a-zA-Z])|(?<![a-zA-Z])[a-zA-Z](?![a-zA-Z])"
    r"|[-0-9+*/^=(){}\[\]|!%.,_\s\u221a])++"
)
"""Mathematics in plain text: numbers, operators, functions and single letters."""
ALGEBRA = re.compile(r"[a-zA-Z\\^/!\u221a]")
ARTICLE = re.compile(r"^(?:[aAI]\s+)+(?![-+*/^=])")


def last_formulas(text: str) -> Iterator[str]:
    """Yield formulas from the text's end on, the likeliest answer first."""
    text = plain_characters(text)[-WINDOW:]
    for found in reversed(list(MATHEMATICS.finditer(text))[-MAX_FORMULAS:]):
        content = next(group for group in found.groups() if group)
        if not AMOUNT.fullmatch(content):
            yield content + ("%" if text[found.end() : found.end() + 1] == "%" else "")
    runs = [run.strip(" \n\t.,") for run in RUN.findall(text) if any(map(str.isdigit, run))]
    if runs and (ALGEBRA.search(runs[-1]) or THOUSANDS.fullmatch(runs[-1])):
        yield _last_part(ARTICLE.sub("", runs[-1]))


def _last_part(run: str) -> str:
    """Return the part behind the last equals sign and the last comma, if its brackets match."""
    part = run.rsplit("=", 1)[-1].rsplit(", ", 1)[-1].strip()
    return part if part.count("(") == part.count(")") else run
