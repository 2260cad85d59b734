"""Cost estimates of jobs."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from api.dependencies.auth import Reader
from api.dependencies.body import as_kind, request_of
from api.dependencies.services import FromServices
from api.errors.responses import problems
from api.schemas.estimates import ToEstimate
from api.submission.check import SpecChecker
from grpo.spec.resolve import SpecError
from grpo.validation.cost import at_group_sizes
from grpo.validation.results import Estimates

router = APIRouter(prefix="/estimates", tags=["jobs"])

Wanted = Annotated[ToEstimate, Depends(as_kind(TypeAdapter(ToEstimate)))]


@router.post("", responses=problems(400, 413), openapi_extra=request_of(ToEstimate.__name__))
def estimate_job(wanted: Wanted, caller: Reader, services: FromServices) -> Estimates:
    """Estimate rollouts, tokens, steps, time and memory of a spec, also with other group sizes.

    Time is based on this server's past jobs of the same model and group size.
    """
    checker = SpecChecker(services, caller.project_id)
    try:
        checked = list(at_group_sizes(wanted.spec, wanted.group_sizes, checker.check))
    except SpecError as error:
        wrong = [(f"/spec{pointer}", detail) for pointer, detail in error.problems]
        raise SpecError(wrong) from None
    return Estimates(
        spec=checked[0].spec.model_dump(mode="json"),
        num_prompts=checked[0].num_prompts,
        estimates=checker.costs.estimate(checked),
    )
