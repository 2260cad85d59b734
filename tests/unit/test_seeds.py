"""Seeds: hashed, stable, unrelated."""

import subprocess
import sys

from grpo.seeds import SEEDS, derive_seed


def test_a_seed_is_the_same_in_every_version_and_process():
    # blake2b with an 8-byte digest of "7/rollout/3/0/41/1", modulo 2**31.
    assert derive_seed(7, "rollout", 3, 0, 41, 1) == 1955707815
    program = "from grpo.seeds import derive_seed; print(derive_seed(7, 'rollout', 3, 0, 41, 1))"
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(printed.stdout) == derive_seed(7, "rollout", 3, 0, 41, 1)


def test_no_two_draws_of_a_step_share_a_seed():
    seeds = {
        derive_seed(0, "rollout", 1, 0, prompt, sibling)
        for prompt in range(256)
        for sibling in range(2)
    }
    assert len(seeds) == 512
    assert all(0 <= seed < SEEDS for seed in seeds)


def test_purpose_path_and_job_seed_all_matter():
    assert derive_seed(0, "eval", 1) != derive_seed(0, "rollout", 1)
    assert derive_seed(0, "eval", 1, 23) != derive_seed(0, "eval", 12, 3)
    assert derive_seed(0, "eval", 1) != derive_seed(1, "eval", 1)
