"""Questions to a service: one or several completions, known by a key."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpo.rewards.reward import Case
from grpo.values.written_number import as_json

KEY_FORMAT = 2
"""Version of the key's format; after a change, previously stored scores are not found."""
CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Question:
    """One question to a service: the score of a case, or the better one of two."""

    key: str
    cases: tuple[Case, ...]

    @property
    def characters(self) -> int:
        """Length of the texts that are sent."""
        case = self.cases[0]
        prompt = sum(len(message["content"]) for message in case.messages)
        return prompt + sum(len(each.text) for each in self.cases)

    @property
    def tokens(self) -> int:
        """About."""
        return -(-self.characters // CHARACTERS_A_TOKEN)


def question(asker: Mapping[str, Any], *cases: Case) -> Question:
    """Return the question about cases of one row.

    `asker`: the reward's settings on which the answer depends.  Equal questions have equal keys.
    """
    case = cases[0]
    about = {
        "format": KEY_FORMAT,
        "reward": dict(asker),
        "messages": [dict(message) for message in case.messages],
        "answer": case.answer,
        "row": dict(case.fields),
        "completions": [each.text for each in cases],
    }
    written = as_json(about).encode(errors="surrogatepass")
    return Question(hashlib.sha256(written).hexdigest(), cases)


def same_group(one: Case, other: Case) -> bool:
    """Whether two completions are of one group."""
    same = one.messages == other.messages and one.fields == other.fields
    return same and one.draw == other.draw


def groups(cases: Sequence[Case]) -> list[list[int]]:
    """Return the positions of each run of cases of one group."""
    found: list[list[int]] = []
    for position, case in enumerate(cases):
        if found and same_group(cases[found[-1][0]], case):
            found[-1].append(position)
        else:
            found.append([position])
    return found
