"""The exact proof of a sync in bfloat16: all weights arrive, and one that differs is found."""

import time

import torch

from grpo.rollout.weight_sync import to_engine, to_trainer
from tests.gpu.engines import TINY, draw, entropy, gap, made_engine, made_policy, move
from tests.gpu.part import Figures, Setting

CHANGED = "model.layers.1.mlp.down_proj.weight"


def measure(setting: Setting) -> Figures:
    folder = TINY if setting.cpu or setting.model is None else setting.model
    policy = made_policy(folder, precision="bfloat16")
    with made_engine(folder, dtype="bfloat16") as engine:
        to_trainer(engine)
        move(policy)
        began = time.perf_counter()
        to_engine(engine, policy)
        seconds = time.perf_counter() - began
        asked, drawn = draw(engine, folder, number=64)
        found, certainty = gap(policy, asked, drawn), entropy(drawn)
        assert found < 0.1 + 0.05 * certainty, f"gap {found} at entropy {certainty}"

        with torch.no_grad():
            policy.model.get_parameter(CHANGED)[3, 5] += 1.0
        stale = engine.stale_weights(policy.weights(), names=None)
        assert [each.partition(" ")[0] for each in stale] == [CHANGED], stale
        return {
            "engine": engine.name,
            "gap [nats/token]": found,
            "entropy [nats/token]": certainty,
            "sync with proof [s]": round(seconds, 3),
        }
