"""Cost estimates of jobs."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from api.dependencies.auth import Reader
from api.dependencies.body import as_kind, request_of
from api.dependencies.services import FromServices
from api.dependencies.transaction import RequestSession
from api.errors.responses import problems
from api.schemas.estimates import Estimates, ToEstimate
from api.submission.check import SpecChecker, Submission
from api.submission.estimate import estimate
from grpo.spec.resolve import SpecError, merge

router = APIRouter(prefix="/estimates", tags=["jobs"])

Wanted = Annotated[ToEstimate, Depends(as_kind(TypeAdapter(ToEstimate)))]


@router.post("", responses=problems(400, 413), openapi_extra=request_of(ToEstimate.__name__))
def estimate_job(
    wanted: Wanted, caller: Reader, session: RequestSession, services: FromServices
) -> Estimates:
    """Estimate rollouts, tokens, steps, time and memory of a spec, also with other group sizes.

    Time is based on this server's past jobs of the same model and group size.
    """

    checker = SpecChecker.of(services, session, caller.project_id)

    def checked(group_size: int | None) -> Submission:
        other = {} if group_size is None else {"algorithm": {"group_size": group_size}}
        try:
            return checker.check(merge(wanted.spec, other))
        except SpecError as error:
            wrong = [(f"/spec{pointer}", detail) for pointer, detail in error.problems]
            raise SpecError(wrong) from None

    own = checked(None)
    sizes = dict.fromkeys(wanted.group_sizes)
    sizes.pop(own.spec.algorithm.group_size, None)
    others = [checked(each) for each in sizes]
    return Estimates(
        spec=own.spec.model_dump(mode="json"),
        num_prompts=own.num_prompts,
        estimates=[
            estimate(session, caller.project_id, each.spec, each.num_prompts)
            for each in (own, *others)
        ],
    )
