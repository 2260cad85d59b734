"""The doctor's checks of the machine, and whether the demo fits on the card."""

import torch

from duet.doctor.machine import machine
from grpo.builtin.catalogue import MODELS
from grpo.runtime.card import GIB, engine_misfit
from grpo.spec.resolve import resolve
from grpo.validation.cost import memory_of
from tests.gpu.part import Figures, Setting

LEAST_CARD = 80 * GIB


def measure(setting: Setting) -> Figures:
    findings = list(machine(setting.folder))
    bad = [f"{each.name}: {each.said}" for each in findings if each.state == "fail"]
    assert not bad, "; ".join(bad)
    said = {each.name: each.said for each in findings}
    card_bytes = LEAST_CARD if setting.cpu else torch.cuda.get_device_properties(0).total_memory
    spec = resolve({"preset": "demo"})
    kept = memory_of(spec, MODELS["tiny-arithmetic"].config, "cuda").kept
    fraction = spec.rollout.gpu_memory_fraction
    misfit = engine_misfit(kept_bytes=kept, card_bytes=card_bytes, fraction=fraction)
    assert misfit is None, misfit
    return {
        "python": said["Python"],
        "torch's CUDA": str(torch.version.cuda),
        "card [GiB]": round(card_bytes / GIB, 1),
        "the demo's trainer and engine [GiB]": round(kept / GIB + fraction * card_bytes / GIB, 1),
        **{name: text for name, text in said.items() if "GPU" in name},
    }
