"""Ten recorded steps, bit for bit: a refactoring must not change them.

The processor's own kernels differ from machine to machine, so these runs use the plain ones.  A
change that is meant to alter the numbers regenerates them: `python -m tests.training.test_golden`.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.runs import finish_run, make_tiny_model, records, small_spec, write_sums

GOLDEN = Path(__file__).parent / "golden.json"
# On record under these names; the entropy is that of the tokens that were learnt from.
NAMES = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "entropy": "learnt/entropy",
    "reward": "reward",
}
PLAIN_KERNELS = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


def measure(folder: Path) -> dict[str, Any]:
    spec = small_spec(
        make_tiny_model(folder / "model"),
        write_sums(folder / "sums.jsonl"),
        budget={"max_steps": 10},
        data={"eval": None},
    )
    run = finish_run(spec, folder / "run", environment=PLAIN_KERNELS)
    metrics = [record["payload"] for record in records(run, "metric")]
    return {
        "processor": _processor(),
        "torch": torch.__version__,
        "steps": [{name: step[metric].hex() for name, metric in NAMES.items()} for step in metrics],
    }


def _processor() -> str:
    """CPU family: plain kernels still take the math library's own paths for it."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()  # the first core's
    wanted = ("vendor_id", "cpu family", "model\t")
    return " ".join(line.split(":")[1].strip() for line in lines if line.startswith(wanted))


def test_ten_steps_are_bit_identical_to_those_on_record(tmp_path: Path):
    golden, measured = json.loads(GOLDEN.read_text()), measure(tmp_path)
    if all(golden[of] == measured[of] for of in ("processor", "torch")):
        assert measured["steps"] == golden["steps"]
    for then, now in zip(golden["steps"], measured["steps"], strict=True):
        for name in NAMES:
            value = float.fromhex(then[name])
            assert float.fromhex(now[name]) == pytest.approx(value, rel=1e-4, abs=1e-6), name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        GOLDEN.write_text(json.dumps(measure(Path(made)), indent=1) + "\n")
    sys.stdout.write(f"wrote {GOLDEN}\n")
