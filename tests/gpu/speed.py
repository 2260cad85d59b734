"""Tokens per second of rollout and update, beside vLLM alone and a bare loop, in turns."""

from functools import partial
from statistics import median
from typing import Any

from bench.trainer import parts, vllm_alone
from bench.trainer.task import write_float32_model
from bench.turns import Turn, alternate, contest
from tests.gpu.part import Figures, Setting
from tests.gpu.task import step_spec


def measure(setting: Setting) -> Figures:
    import vllm  # noqa: F401 - the peer; without it nothing is compared

    spec, model = step_spec(setting), setting.folder / "model"
    write_float32_model(model)
    rounds = setting.size(5, 1)
    with contest({"ours": (parts.play, ([spec], model))}, logs=setting.folder) as playing:
        own = playing["ours"]
        (recorded,) = own.prepared
        updates = alternate(
            {
                kind: partial(own.turn, (kind, 0))
                for kind in ("update", "bare_update", "stock_update")
            },
            rounds=rounds,
            warmups=1,
        )
        alone = (vllm_alone.play, (spec, model, setting.cpu, [recorded.requests]))
        with contest({"alone": alone}, logs=setting.folder) as others:
            rollouts = alternate(
                {
                    "ours": partial(own.turn, ("rollout", 0)),
                    "alone": partial(others["alone"].turn, 0),
                },
                rounds=rounds,
                warmups=1,
            )
    trained = sum(map(sum, recorded.row_lengths))
    ours, bare, stock = (
        trained / _seconds(updates[kind]) for kind in ("update", "bare_update", "stock_update")
    )
    drawn, peer = (_speed(rollouts[name]) for name in ("ours", "alone"))
    return {
        "rollout [tokens/s]": round(drawn),
        "vLLM alone [tokens/s]": round(peer),
        "of vLLM alone": drawn / peer,
        "update [tokens/s]": round(ours),
        "of a bare loop": ours / bare,
        "of a loop through stock transformers": ours / stock,
    }


def _seconds(turns: list[Turn]) -> float:
    return median(turn.seconds for turn in turns)


def _speed(turns: list[Turn]) -> float:
    said: Any = [turn.said / turn.seconds for turn in turns]
    return median(said)
