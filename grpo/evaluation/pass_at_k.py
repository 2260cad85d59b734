"""Statistics over several completions of one prompt: pass@k and majority@n."""

from collections import Counter
from collections.abc import Sequence
from math import comb


def pass_at_k(*, num_samples: int, num_right: int, k: int) -> float:
    """Return the probability that at least one of k completions is right, given c right ones of n.

    1 - C(n - c, k) / C(n, k), unbiased for k <= n (arXiv 2107.03374, eq. 1).  The integers are
    exact; only the division rounds.
    """
    draws = comb(num_samples, k)
    return (draws - comb(num_samples - num_right, k)) / draws


def pass_sizes(num_samples: int) -> list[int]:
    """Return each k for which pass@k is reported: 2, 4, 8, ... and `num_samples`.  pass@1 is
    accuracy."""
    powers = (2**exponent for exponent in range(1, num_samples.bit_length()))
    return sorted({*powers, num_samples} - {1})


def majority_is_right(answers: Sequence[str | None], right: Sequence[bool]) -> bool:
    """Whether the most common answer is right; among equally common ones the first drawn wins.

    A completion without an answer (None) has no vote.  The first completion that gives an answer
    decides whether the answer is right.
    """
    votes = Counter(answer for answer in answers if answer is not None)  # in the order drawn
    if not votes:
        return False
    ((answer, _),) = votes.most_common(1)  # the first of equals
    return right[answers.index(answer)]
