"""Sampling from an engine, with an error if the model's probabilities are not finite."""

import math
from collections.abc import Sequence

from grpo.errors import RunError
from grpo.rollout.engines.engine import Completion, Request, RolloutEngine, Sampling


def draw(
    engine: RolloutEngine, requests: Sequence[Request], sampling: Sampling
) -> list[Completion]:
    """Draw one completion per request, in the requests' order.

    Raises:
        RunError: `model_unusable`, if a log-probability is NaN or infinite: such samples are
            meaningless and would be scored as wrong completions.
    """
    completions = engine.generate(requests, sampling)
    num_bad = sum(
        not all(map(math.isfinite, completion.sampler_logprobs)) for completion in completions
    )
    if num_bad:
        raise RunError(
            "model_unusable",
            f"the model's log-probabilities are NaN or infinite in {num_bad} of "
            f"{len(completions)} completions",
            hint="Check the model's weights; if only bfloat16 overflows, set model.dtype to "
            "float32.",
        )
    return completions
