"""Turns of engine and trainer with one GPU's memory, and that nothing accumulates."""

import gc
from pathlib import Path

import torch

from grpo.rollout.weight_sync import to_engine, to_trainer
from tests.gpu.engines import FRACTION, TINY, draw, gap, made_engine, made_policy, move
from tests.gpu.part import Figures, Setting

MIB = 2**20
MOST_GROWTH = 64 * MIB  # from the second cycle to the last
MOST_GAP = 0.2


def measure(setting: Setting) -> Figures:
    precision = "float32" if setting.cpu else "bfloat16"
    policy = made_policy(TINY, precision=precision)
    asleep, awake = [], []
    with made_engine(TINY, dtype=precision) as engine:
        for _ in range(setting.size(10, 4)):
            to_trainer(engine)
            asleep.append(taken())
            move(policy)
            to_engine(engine, policy)
            asked, drawn = draw(engine, TINY, number=16)
            found = gap(policy, asked, drawn)
            assert found < MOST_GAP, f"gap {found} after a wake"
            awake.append(taken())
        name = engine.name
    grown = max(asleep[-1] - asleep[1], awake[-1] - awake[1])
    assert grown < MOST_GROWTH, f"{grown / MIB:.0f} MiB more after {len(awake)} cycles"
    freed = awake[-1] - asleep[-1]
    if not setting.cpu and name == "vllm":
        share = FRACTION * torch.cuda.get_device_properties(0).total_memory
        assert freed > 0.7 * share, f"sleep freed {freed / MIB:.0f} MiB of {share / MIB:.0f}"
    return {
        "engine": name,
        "cycles": len(awake),
        "freed by sleep [MiB]": round(freed / MIB),
        "growth [MiB]": round(grown / MIB),
        # Much above the policy's few MiB: torch counts the engine's memory as the trainer's.
        "peak by torch's count [MiB]": round(torch.cuda.max_memory_allocated() / MIB),
    }


def taken() -> int:
    """Return the bytes that are taken: of the GPU, or by this process without one."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        return total - free
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
