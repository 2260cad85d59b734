"""Verdicts of judges, read out of a chat completion; anything else is a failed score."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from grpo.rewards.grading import Failed
from grpo.rewards.service.calls import CallFailed
from grpo.rewards.service.formats import number

SHOWN_CHARACTERS = 200
FENCE = "```"
MOST_CHARACTERS = 256 * 1024
"""Longest verdict with its reasoning."""
PREFERENCES = {"A": 1.0, "B": 0.0, "tie": 0.5}


def verdict_of(answer: object) -> Mapping[str, Any]:
    """Return the JSON object that a judge has written.

    Raises:
        CallFailed: it refused, was cut off, or wrote something else.
    """
    choice = _first_choice(answer)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise CallFailed("its answer has no message")
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        raise CallFailed(f"it refused: {refusal[:SHOWN_CHARACTERS]}")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        why = choice.get("finish_reason")
        raise CallFailed(f"it wrote nothing (finish_reason: {json.dumps(why)[:100]})")
    if len(content) > MOST_CHARACTERS:
        raise CallFailed(f"it wrote more than {MOST_CHARACTERS:,} characters")
    try:
        verdict = json.loads(_unfenced(content.strip()))
    except (ValueError, RecursionError):
        verdict = None
    if not isinstance(verdict, dict):
        cut = " (cut off at max_tokens)" if choice.get("finish_reason") == "length" else ""
        raise CallFailed(f"it wrote no JSON object{cut}: {content[:SHOWN_CHARACTERS]}")
    return verdict


def _unfenced(text: str) -> str:
    """Return the inside of a code block; other text as it is."""
    if not (text.startswith(FENCE) and text.endswith(FENCE)):
        return text
    return text.removeprefix(FENCE).removesuffix(FENCE).removeprefix("json")


def read_score(verdict: Mapping[str, Any], ends: tuple[float, float]) -> float | Failed:
    """Return a score as a share of its range; one outside has failed."""
    found = number(verdict.get("score"))
    if isinstance(found, Failed):
        return found
    low, high = ends
    if not low <= found <= high:
        return Failed(f"its score {found:g} is not from {low:g} to {high:g}")
    return (found - low) / (high - low)


def read_label(
    verdict: Mapping[str, Any], labels: Collection[str], passing: Collection[str]
) -> float | Failed:
    """Return 1 for a passing label, 0 for another one of the labels."""
    label = verdict.get("label")
    if not isinstance(label, str) or label not in labels:
        return Failed(f"its label is none of the labels: {json.dumps(label)[:SHOWN_CHARACTERS]}")
    return float(label in passing)


def read_preference(verdict: Mapping[str, Any]) -> float | Failed:
    """Return 1: the first answer is better, 0: the second, 0.5: neither."""
    better = verdict.get("better")
    if not isinstance(better, str) or better not in PREFERENCES:
        shown = json.dumps(better)[:SHOWN_CHARACTERS]
        return Failed(f'its verdict is none of "A", "B" and "tie": {shown}')
    return PREFERENCES[better]


def _first_choice(answer: object) -> Mapping[str, Any]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        raise CallFailed("its answer is not a chat completion: it has no choices")
    return first
