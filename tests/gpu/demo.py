"""The demo's job through the API and the worker, on the card that the worker found."""

import sys
from typing import Any

from duet.client.sync.client import Client
from duet.local.run_locally import local_duet
from duet.local.state import State
from tests.gpu.part import Figures, Setting

LEAST_GAIN = 0.15
"""Gain of held-out accuracy; on the CPU it is 0.4."""


def measure(setting: Setting) -> Figures:
    spec: dict[str, Any] = {
        "preset": "demo",
        "data": {"train": "arithmetic", "eval": "arithmetic-heldout"},
    }
    if setting.cpu:
        spec |= {
            "algorithm": {"prompts_per_step": 32, "minibatches": 1},
            "evaluation": {"limit": 16, "samples": 1},
            "budget": {"max_steps": 2},
        }
    with (
        local_duet(State(setting.folder), port=None, say=_say) as (_, server),
        Client(server.url, server.key) as client,
    ):
        job = client.jobs.create(spec)
        done = client.jobs.wait(job.id)
        evals = [each.payload for each in client.jobs.records(job.id, kind="eval")]
        (worker,) = client.workers.list()
    before, after = (evals[place]["eval/accuracy"] for place in (0, -1))
    if not setting.cpu:
        assert worker.num_gpus, "the worker found no GPU"
        assert after - before > LEAST_GAIN, f"accuracy {before} before and {after} after"
    return {
        "cards of the worker": worker.num_gpus,
        "accuracy before": before,
        "accuracy after": after,
        "steps": done.progress.step,
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
