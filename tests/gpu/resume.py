"""A run that is killed after a checkpoint, and its continuation."""

from pathlib import Path

from safetensors.torch import load_file

from tests.gpu.curve import curve_spec
from tests.gpu.part import Figures, Setting
from tests.training.runs import end_of, finish_run, records, start_run
from tests.waiting import wait_until

NUM_STEPS, EVERY = 4, 2


def measure(setting: Setting) -> Figures:
    spec = curve_spec(seed=1, num_steps=NUM_STEPS)
    spec = spec.model_copy(
        update={"checkpoints": spec.checkpoints.model_copy(update={"every_steps": EVERY})}
    )
    whole = finish_run(spec, setting.folder / "whole")
    killed = setting.folder / "killed"
    saved = killed / "checkpoints" / f"step-{EVERY:06}"
    with start_run(spec, killed) as process:
        wait_until(lambda: saved.is_dir() or process.poll() is not None, seconds=240)
        process.kill()
    assert saved.is_dir(), (killed / "log.txt").read_text()[-2000:]
    resumed = finish_run(spec, setting.folder / "resumed", "--resume-from", str(saved))
    assert end_of(resumed)["outcome"] == "completed"
    steps = [each["step"] for each in records(resumed, "metric")]
    assert steps == list(range(EVERY + 1, NUM_STEPS + 1)), steps
    difference = _difference(whole, resumed)
    if setting.cpu:
        assert difference == 0, f"weights differ by {difference}"
    return {"largest difference of a weight": difference, "same bits": str(difference == 0)}


def _difference(*runs: Path) -> float:
    """Return the largest difference of a weight between two runs' last checkpoints."""
    name = f"checkpoints/step-{NUM_STEPS:06}/model.safetensors"
    first, second = (load_file(run / name) for run in runs)
    return max(float((first[each] - second[each]).abs().max()) for each in first)
