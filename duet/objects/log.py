"""Records, samples and preference pairs of a job's log."""

from datetime import datetime
from typing import Any

from duet.objects.answer import Answer


class Record(Answer):
    """One entry of a job's log."""

    seq: int
    kind: str
    """`status`, `phase`, `metric`, `eval`, `sample`, `checkpoint`, `resumed`, `message`, `end`."""
    step: int | None = None
    attempt: int
    at: datetime
    payload: dict[str, Any]


class TokenLogprobs(Answer):
    """One token as text, with its logprobs by the engine and by the policy [nats]."""

    text: str
    sampler_logprob: float | None = None
    policy_logprob: float | None = None


class Completion(Answer):
    """One completion of a sampled prompt."""

    text: str
    reward: float | None = None
    rewards: dict[str, float | None]
    """Scores by reward, before weighting."""
    advantage: float | None = None
    num_tokens: int
    finish_reason: str | None = None
    tokens: list[TokenLogprobs] | None = None
    """Tokens with logprobs, where the spec sets reporting.token_logprobs."""


class Sample(Answer):
    """A sampled prompt with its group of completions."""

    seq: int
    step: int
    prompt: str
    answer: str
    source: str | None = None
    outcome: str
    """`mixed` (rewards differ) or `tied`."""
    completions: list[Completion]


class Pair(Answer):
    """A prompt's best completion against its worst, ready for DPO: messages, each with its `role`
    and `content`."""

    prompt: list[dict[str, str]]
    chosen: list[dict[str, str]]
    rejected: list[dict[str, str]]
    step: int
    row: int
    source: str
    reward_chosen: float
    reward_rejected: float
