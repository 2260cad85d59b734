"""Trying a grader before a job is made of it."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api.auth import Submitter
from api.body import as_kind, request_of
from api.openai.answers import errors
from api.openai.graders import AnyGrader, to_reward
from api.problems import invalid_spec
from api.query import known_parameters_only
from api.views.view import View
from grpo.rewards.catalogue import AnyReward
from grpo.rewards.grading import Failed, grade
from grpo.rewards.multi import MultiReward
from grpo.rewards.reward import Case, Reward

router = APIRouter(
    prefix="/fine_tuning/alpha/graders",
    tags=["openai"],
    dependencies=[Depends(known_parameters_only)],
)

_REWARD: TypeAdapter[Reward] = TypeAdapter(AnyReward)
POINTER = "/grader"


class GraderToValidate(BaseModel):
    """A grader alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grader: AnyGrader


class GraderToRun(GraderToValidate):
    """A grader with a completion, and with the row that it belongs to."""

    model_sample: str = Field(description="The completion.")
    item: dict[str, Any] = Field(default={}, description="The row's fields.")


class Validated(View):
    """The grader as it was understood."""

    grader: dict[str, Any]


class GraderErrors(View):
    """What went wrong, in OpenAI's words."""

    formula_parse_error: bool = False
    sample_parse_error: bool = False
    truncated_observation_error: bool = False
    unresponsive_reward_error: bool = False
    invalid_variable_error: bool = False
    other_error: bool
    other_error_details: str | None
    python_grader_server_error: bool = False
    python_grader_runtime_error: bool = False
    model_grader_refusal_error: bool = False
    model_grader_parse_error: bool = False
    model_grader_server_error: bool = False


class RunMetadata(View):
    """How the run of a grader went."""

    name: str
    type: str
    errors: GraderErrors
    execution_time: float = Field(description="[s]")
    scores: dict[str, float | None]
    token_usage: None = None
    sampled_model_name: None = None


class GraderRun(View):
    """A grader's score."""

    reward: float
    metadata: RunMetadata
    sub_rewards: dict[str, float | None] = Field(description="Of each part of a multi grader.")
    model_grader_token_usage_per_model: dict[str, int] = Field(
        default={}, description="No grader here asks a model."
    )


ToValidate = Annotated[GraderToValidate, Depends(as_kind(TypeAdapter(GraderToValidate)))]
ToRun = Annotated[GraderToRun, Depends(as_kind(TypeAdapter(GraderToRun)))]


@router.post(
    "/validate",
    responses=errors(400, 413),
    openapi_extra=request_of(GraderToValidate.__name__),
)
def validate_grader(sent: ToValidate, caller: Submitter) -> Validated:  # noqa: ARG001 - needs a key
    """Check a grader."""
    _reward_of(sent.grader)
    return Validated(grader=sent.grader.model_dump(exclude_none=True))


@router.post("/run", responses=errors(400, 413), openapi_extra=request_of(GraderToRun.__name__))
def run_grader(sent: ToRun, caller: Submitter) -> GraderRun:  # noqa: ARG001 - needs a key
    """Score one completion.  Only graders that cannot take long: string_check, and multi of it."""
    reward = _reward_of(sent.grader)
    if not reward.cheap:
        detail = "runs only in training: here string_check runs, and multi of string_check"
        raise invalid_spec([(f"{POINTER}/type", detail)])
    case = Case(text=sent.model_sample, num_tokens=0, answer="", fields=sent.item)
    began = time.monotonic()
    score = grade(reward, case)
    seconds = time.monotonic() - began
    cause = score.cause if isinstance(score, Failed) else None
    return GraderRun(
        reward=_number(score) or 0.0,
        metadata=RunMetadata(
            name=getattr(sent.grader, "name", ""),
            type=sent.grader.type,
            errors=GraderErrors(other_error=cause is not None, other_error_details=cause),
            execution_time=seconds,
            scores={reward.part: _number(score)},
        ),
        sub_rewards=_parts(reward, case),
    )


def _reward_of(grader: AnyGrader) -> Reward:
    """
    Raises:
        Problem: the reward that it would be is wrong: a template, a formula.
    """
    try:
        return _REWARD.validate_python(to_reward(grader))
    except ValidationError as error:
        first = error.errors()[0]
        raise invalid_spec([(POINTER, first["msg"].removeprefix("Value error, "))]) from None


def _parts(reward: Reward, case: Case) -> dict[str, float | None]:
    if not isinstance(reward, MultiReward):
        return {}
    return {part.part: _number(grade(part, case)) for part in reward.rewards}


def _number(score: float | Failed) -> float | None:
    return None if isinstance(score, Failed) else score
