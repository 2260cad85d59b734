"""`python -m bench.api`: the API against a bare one, in one run on one machine.

Contestants take turns (A B A B ...), so that only ratios are meaningful; an otherwise idle machine
gives the clearest ones.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.api import load, watching
from bench.api.measure import Bench, long_curves, long_list, many_watchers, one_job
from bench.api.servers import running
from bench.api.setting import FULL, QUICK, Effort
from bench.report import Row, describe_machine, table
from bench.turns import contest

PACKAGES = ("fastapi", "sqlalchemy", "psycopg", "uvicorn")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round, as a check that everything works"
    )
    effort = QUICK if parser.parse_args(arguments).quick else FULL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # clean up, too
    began_at = time.monotonic()
    machine = describe_machine(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-api-", ignore_cleanup_errors=True) as folder:
        rows = _measure(Path(folder), effort)
    print(*machine, f"Medians of {effort.rounds} rounds.", "", table(rows), sep="\n")
    print(f"\n{time.monotonic() - began_at:.0f} s in all")


def _measure(folder: Path, effort: Effort) -> list[Row]:
    players = {"load": (load.play, ()), "watchers": (watching.play, ())}
    with running(folder) as servers, contest(players, logs=folder) as playing:
        owner = servers.make_owner("bench")
        bench = Bench(servers, owner, playing["load"], playing["watchers"], effort)
        rows = []
        for measure in (one_job, many_watchers, long_curves, long_list):
            print(measure.__name__, file=sys.stderr)
            rows += measure(bench)
        return rows


if __name__ == "__main__":
    main(sys.argv[1:])
