"""A curve in one line of a terminal."""

from collections.abc import Sequence
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"


def spark_line(values: Sequence[float], width: int) -> str:
    """Draw values in at most `width` characters, scaled from the lowest to the highest; each is the
    mean of equally many values, to within one."""
    num_marks = min(width, len(values))
    if not num_marks:
        return ""
    edges = [place * len(values) // num_marks for place in range(num_marks + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(
        BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1)) if span else 0] for mean in means
    )
