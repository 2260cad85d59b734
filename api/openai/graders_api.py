"""Grader validation and runs, before a job uses the grader."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from api.dependencies.auth import Caller, Submitter
from api.dependencies.body import as_kind, request_of
from api.dependencies.query import known_parameters_only
from api.dependencies.services import FromServices, Services
from api.errors.problems import invalid_spec
from api.limits.reward_trials import python_problems
from api.openai.graders import AnyGrader, to_reward
from api.openai.responses import errors
from api.schemas.base import View
from api.submission.reward_services import access_to_services
from grpo.rewards.catalogue import AnyReward
from grpo.rewards.deferral import CONTEXT
from grpo.rewards.multi import MultiReward
from grpo.rewards.preflight import num_tokens
from grpo.rewards.reward import Case, Reward
from grpo.spec.resolve import SpecError
from grpo.spec.rollout import Scoring
from grpo.values.field_errors import in_words

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
    """A grader, with a completion and its row."""

    model_sample: str = Field(description="The completion.")
    reference_answer: JsonValue = Field(
        default=None, description="For older clients: `item.reference_answer`."
    )
    item: dict[str, Any] = Field(default={}, validate_default=True, description="The row's fields.")

    @field_validator("item")
    @classmethod
    def _with_reference(cls, item: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        reference = info.data.get("reference_answer")
        return item if reference is None else {"reference_answer": reference, **item}


class Validated(View):
    """The grader as parsed."""

    grader: dict[str, Any]


class GraderErrors(View):
    """The kinds of errors in a grader's run, in OpenAI's format."""

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
    """Details of a grader's run."""

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
    sub_rewards: dict[str, float | None] = Field(
        description="Score of each part of a multi grader."
    )
    model_grader_token_usage_per_model: dict[str, int] = Field(
        default={}, description="Always empty."
    )


ToValidate = Annotated[GraderToValidate, Depends(as_kind(TypeAdapter(GraderToValidate)))]
ToRun = Annotated[GraderToRun, Depends(as_kind(TypeAdapter(GraderToRun)))]


@router.post(
    "/validate",
    responses=errors(400, 413),
    openapi_extra=request_of(GraderToValidate.__name__),
)
def validate_grader(sent: ToValidate, caller: Submitter, services: FromServices) -> Validated:
    """Validate a grader."""
    _reward_of(sent.grader, caller, services)
    return Validated(grader=sent.grader.model_dump(exclude_none=True))


@router.post("/run", responses=errors(400, 413), openapi_extra=request_of(GraderToRun.__name__))
def run_grader(sent: ToRun, caller: Submitter, services: FromServices) -> GraderRun:
    """Score one completion as training would."""
    reward = _reward_of(sent.grader, caller, services)
    parts = reward.rewards if isinstance(reward, MultiReward) else []
    if problems := python_problems([reward], services.settings):
        raise invalid_spec([(POINTER, problems[0][1])])
    try:
        access = access_to_services([reward], services, caller.project_id)
    except SpecError as error:
        raise invalid_spec([(POINTER, error.problems[0][1])]) from None
    case = Case(sent.model_sample, num_tokens(sent.model_sample), answer="", fields=sent.item)
    with services.trials.open(
        [reward, *parts],
        project_id=caller.project_id,
        seconds_each=Scoring().seconds,
        access=access,
    ) as tryout:
        tried = [tryout.score_all(number, [case]) for number in range(1 + len(parts))]
    whole, *of_parts = [trial for (trial,) in tried]
    return GraderRun(
        reward=whole.score or 0.0,
        metadata=RunMetadata(
            name=getattr(sent.grader, "name", ""),
            type=sent.grader.type,
            errors=GraderErrors(
                other_error=whole.error is not None, other_error_details=whole.error
            ),
            execution_time=whole.seconds or 0.0,
            scores={reward.part: whole.score},
        ),
        sub_rewards={part.part: trial.score for part, trial in zip(parts, of_parts, strict=True)},
    )


def _reward_of(grader: AnyGrader, caller: Caller, services: Services) -> Reward:
    """Check the grader as a reward.

    Raises:
        Problem: its reward is not valid, for example a template or a formula.
    """
    try:
        reward = _REWARD.validate_python(to_reward(grader), context=CONTEXT)
    except ValidationError as error:
        first = error.errors()[0]
        raise invalid_spec([(POINTER, in_words(first))]) from None
    if problems := services.reward_checks.problems([reward], caller.project_id):
        raise invalid_spec([(POINTER, detail) for _, detail in problems])
    return reward
