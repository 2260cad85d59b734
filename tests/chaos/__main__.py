"""`python -m tests.chaos [--seed N] [--jobs 20] [--faults 60] [--workers 3]`: a random campaign.

Exits with 0 if every promise was kept, else with 1 and the folder to inspect.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from secrets import randbelow

from tests.chaos.campaign import Outcome, run_campaign
from tests.chaos.plan import make_plan
from tests.chaos.report import lines_of
from tests.chaos.system import LEASE_SECONDS
from tests.faults.conftest import Unbroken


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--workers", type=int, default=3)
    options = parser.parse_args(arguments)
    seed = randbelow(1_000_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="duet-chaos-"))
    print(f"seed {seed}; everything is in {folder}", flush=True)
    outcome = _run(seed, options, folder)
    again = f"make chaos SEED={seed} JOBS={options.jobs} FAULTS={options.faults}"
    print("\n".join(lines_of(outcome, again=again)))
    if outcome.violations:
        print(f"logs, runs and artifacts are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _run(seed: int, options: argparse.Namespace, folder: Path) -> Outcome:
    plan = make_plan(
        seed=seed,
        num_jobs=options.jobs,
        num_faults=options.faults,
        lease_seconds=LEASE_SECONDS,
    )
    (folder / "unbroken").mkdir()
    (folder / "system").mkdir()
    return run_campaign(
        plan,
        folder=folder / "system",
        unbroken=Unbroken(folder / "unbroken"),
        num_workers=options.workers,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
