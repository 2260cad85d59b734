"""The curve of 200 steps of tiny-arithmetic against the CPU's, which `curve.json` has recorded."""

import json
from statistics import median

from tests.gpu.curve import RECORDED, WINDOW, curve_spec, windows
from tests.gpu.part import Figures, Setting
from tests.training.runs import finish_run, records

SEED = 4  # none of the recorded ones
NOISE = 0.08
"""Reward beyond the recorded seeds' lowest and highest that is still noise, in a window."""


def measure(setting: Setting) -> Figures:
    spec = curve_spec(seed=SEED, num_steps=setting.size(200, 20))
    metrics = [
        each["payload"] for each in records(finish_run(spec, setting.folder / "run"), "metric")
    ]
    found = windows([each["reward"] for each in metrics])
    recorded = json.loads(RECORDED.read_text())
    assert recorded["window"] == WINDOW
    for place, value in enumerate(found):
        of_seeds = [curve[place] for curve in recorded["curves"].values()]
        lowest, highest = min(of_seeds) - NOISE, max(of_seeds) + NOISE
        assert lowest <= value <= highest, f"window {place}: {value}, of {lowest} to {highest}"
    return {
        "steps": len(metrics),
        "reward of the first window": found[0],
        "reward of the last window": found[-1],
        "step [s]": median(each["step_time"] for each in metrics),
        "largest gap [nats/token]": max(
            each.get("learnt/sampling_logp_difference/mean", 0.0) for each in metrics
        ),
    }
