"""Whole steps beside TRL's with vLLM, on the same card and task, in turns."""

from functools import partial
from statistics import median

from bench.trainer import ours, trl_peer
from bench.trainer.task import num_completions, write_float32_model
from bench.turns import alternate, contest
from tests.gpu.part import Figures, Setting
from tests.gpu.task import step_spec


def measure(setting: Setting) -> Figures:
    import trl  # noqa: F401 - the peer
    import vllm  # noqa: F401 - its engine

    spec, folder = step_spec(setting), setting.folder
    write_float32_model(folder / "model")
    peer = trl_peer.Peer(folder / "model", num_completions(spec), with_vllm=True)
    # One after the other: an engine measures at its start what is free of the GPU.
    with (
        contest({"ours": (ours.play, (spec, folder / "ours"))}, logs=folder) as first,
        contest({"trl": (trl_peer.play, (spec, peer, folder / "trl"))}, logs=folder) as second,
    ):
        turns = alternate(
            {name: partial(each.turn) for name, each in {**first, **second}.items()},
            rounds=setting.size(5, 1),
            warmups=1,
        )
    seconds = {name: median(turn.seconds for turn in taken) for name, taken in turns.items()}
    return {
        "completions a step": num_completions(spec),
        "our step [s]": seconds["ours"],
        "TRL's step [s]": seconds["trl"],
        "times as fast": seconds["trl"] / seconds["ours"],
    }
