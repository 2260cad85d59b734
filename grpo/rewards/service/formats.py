"""Request and answer shapes of reward services.

`duet`: `protocol`.  `openai`: endpoint graders of Azure OpenAI, one completion a request.
`sagemaker`: reward functions of Amazon SageMaker and Bedrock, behind a URL.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn, get_args

from grpo.rewards.grading import Failed
from grpo.rewards.reward import Case
from grpo.rewards.service.calls import CallFailed
from grpo.rewards.service.protocol import TYPE
from grpo.rewards.service.question import Question
from grpo.values.written_number import as_json

FormatName = Literal["duet", "openai", "sagemaker"]
SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Context:
    """The context that completions are scored in."""

    reward: str
    job: str | None


@dataclass(frozen=True)
class Format:
    """A shape of requests and answers."""

    write: Callable[[Sequence[Question], Context], Any]
    read: Callable[[Any, Sequence[Question]], list[float | Failed]]
    one_by_one: bool = False


def encoded(body: Any) -> bytes:  # noqa: ANN401
    """Return a body as JSON, with numbers spelled as in the data."""
    return as_json(body).encode(errors="replace")


def decoded(body: bytes) -> Any:  # noqa: ANN401
    """Parse an answer.

    Raises:
        CallFailed: it is not JSON.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise CallFailed("its answer is nested too deeply") from None
    except ValueError as error:
        raise CallFailed(f"its answer is not JSON: {error}") from None


def number(value: object) -> float | Failed:
    """Return a score as a finite number; true and "1" are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = json.dumps(value)[:SHOWN_CHARACTERS]
        return Failed(f"its score is not a number: {shown}")
    try:
        score = float(value)
    except OverflowError:
        return Failed("its score is too large")
    return score if math.isfinite(score) else Failed(f"its score is {score}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _write_duet(asked: Sequence[Question], context: Context) -> dict[str, Any]:
    items = [
        {
            "key": each.key,
            "messages": _messages(each.cases[0]),
            "completion": each.cases[0].text,
            "num_tokens": each.cases[0].num_tokens,
            "answer": each.cases[0].answer,
            "row": dict(each.cases[0].fields),
        }
        for each in asked
    ]
    data = {
        "reward": context.reward,
        "job": context.job,
        "step": asked[0].cases[0].step,
        "items": items,
    }
    return {"type": TYPE, "timestamp": datetime.now(UTC).isoformat(), "data": data}


def _read_duet(answer: object, asked: Sequence[Question]) -> list[float | Failed]:
    entries = answer.get("scores") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise CallFailed('its answer has no list "scores"')
    return _by_key(entries, asked, key="key", score="score")


def _write_sagemaker(asked: Sequence[Question], _: Context) -> list[dict[str, Any]]:
    return [_sample(each.key, each.cases[0]) for each in asked]


def _sample(key: str, case: Case) -> dict[str, Any]:
    said = {"role": "assistant", "content": case.text}
    fields = dict(case.fields)
    return {
        **{name: value for name, value in fields.items() if name not in ("id", "messages")},
        "id": key,
        "messages": [*_messages(case), said],
        "reference_answer": fields.get("reference_answer", case.answer),
    }


def _read_sagemaker(answer: object, asked: Sequence[Question]) -> list[float | Failed]:
    """Read a list of results, also inside the `body` of a Lambda behind an API gateway."""
    if isinstance(answer, dict) and "body" in answer:
        body = answer["body"]
        answer = decoded(body.encode(errors="replace")) if isinstance(body, str) else body
    if not isinstance(answer, list):
        raise CallFailed("its answer is not a list of results")
    return _by_key(answer, asked, key="id", score="aggregate_reward_score")


def _write_openai(asked: Sequence[Question], _: Context) -> dict[str, Any]:
    (each,) = asked
    case = each.cases[0]
    message = {"role": "assistant", "content": case.text}
    sample = {
        "output_text": case.text,
        "output_json": _json_object(case.text),
        "choices": [{"index": 0, "message": message}],
    }
    return {"sample": sample, "item": dict(case.fields), "trace_id": f"trace_{each.key[:32]}"}


def _read_openai(answer: object, _: Sequence[Question]) -> list[float | Failed]:
    if not isinstance(answer, dict) or "score" not in answer:
        raise CallFailed('its answer has no "score"')
    return [number(answer["score"])]


def _messages(case: Case) -> list[dict[str, str]]:
    return [dict(message) for message in case.messages]


def _json_object(text: str) -> Any:  # noqa: ANN401
    """Return the completion as a JSON object; None: it is none."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _by_key(
    entries: Sequence[object], asked: Sequence[Question], *, key: str, score: str
) -> list[float | Failed]:
    """Return the scores by the items' keys.

    Raises:
        CallFailed: an entry has a key that was not asked for, or one that another entry has: the
            answer may be to another request.
    """
    found: dict[str, Mapping[str, Any]] = {}
    wanted = {each.key for each in asked}
    for entry in entries:
        name = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in wanted or name in found:
            shown = json.dumps(entry)[:SHOWN_CHARACTERS]
            raise CallFailed(
                f"its answer has {len(entries)} scores for {len(asked)} completions, and one "
                f"whose {key!r} was not asked for, or is there twice: {shown}"
            )
        assert isinstance(entry, dict)
        found[name] = entry
    return [_score_of(found.get(each.key), score) for each in asked]


def _score_of(entry: Mapping[str, Any] | None, score: str) -> float | Failed:
    if entry is None:
        return Failed("its answer has no score for this completion")
    if entry.get(score) is None and entry.get("error") is not None:
        return Failed(str(entry["error"])[:SHOWN_CHARACTERS])
    return number(entry.get(score))


FORMATS: Mapping[FormatName, Format] = {
    "duet": Format(_write_duet, _read_duet),
    "openai": Format(_write_openai, _read_openai, one_by_one=True),
    "sagemaker": Format(_write_sagemaker, _read_sagemaker),
}
assert FORMATS.keys() == set(get_args(FormatName))
