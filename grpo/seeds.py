"""Where all randomness comes from: one job seed, hashed with what the draw is for.

No random generator lives through a run, so there is none to save: a resumed run derives the seeds
of the steps it makes and draws the same.
"""

from hashlib import blake2b

SEEDS = 2**31  # what every sampler and library takes


def derive_seed(seed: int, purpose: str, *path: int) -> int:
    """A seed in [0, 2**31) for one draw: the same in every process, unrelated to its neighbours'.

    `path` tells the draws of one purpose apart, for instance (step, draw, prompt, sibling).
    """
    name = "/".join([str(seed), purpose, *map(str, path)])
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % SEEDS
