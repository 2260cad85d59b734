"""Sampling from an engine, with an error if the model's probabilities are not finite."""

import math
from collections.abc import Sequence
from contextlib import closing

from grpo.errors import RunError
from grpo.rollout.engines.engine import Request, RolloutEngine, Sampling, Stream


def draw(engine: RolloutEngine, requests: Sequence[Request], sampling: Sampling) -> Stream:
    """Yield one completion per request as soon as it has ended.

    Raises:
        RunError: `model_unusable`, where a log-probability is NaN or infinite: such samples are
            meaningless, and would be scored as wrong completions.
    """
    with closing(engine.stream(requests, sampling)) as stream:
        for place, completion in stream:
            if not all(map(math.isfinite, completion.sampler_logprobs)):
                raise _not_finite()
            yield place, completion


def _not_finite() -> RunError:
    return RunError(
        "model_unusable",
        "the model's log-probabilities are NaN or infinite in a completion",
        hint="Check the model's weights; where only bfloat16 overflows, set model.dtype to "
        "float32.",
    )
