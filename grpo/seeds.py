"""Seeds of all random draws: the job's seed, hashed with the purpose of the draw.

No random generator keeps state during a run, so none has to be saved: a resumed run derives the
seeds of its steps and makes the same draws.
"""

from hashlib import blake2b

SEEDS = 2**31  # a range that every sampler and library accepts


def derive_seed(seed: int, purpose: str, *path: int) -> int:
    """Return a seed in [0, 2**31) for one draw: the same in every process, independent of others.

    `path` distinguishes the draws of one purpose, for instance (step, draw, prompt, sibling).
    """
    name = "/".join([str(seed), purpose, *map(str, path)])
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) % SEEDS
