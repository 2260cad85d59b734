"""Reward trials, before a job uses the rewards."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from api.dependencies.auth import Submitter
from api.dependencies.body import as_kind, request_of
from api.dependencies.services import FromServices
from api.errors.responses import problems
from api.schemas.rewards import CompletionTried, RewardsToTry, RewardsTried
from api.submission.reward_services import access_to_services
from grpo.spec.resolve import resolve

router = APIRouter(prefix="/rewards", tags=["catalogue"])

ToTry = Annotated[RewardsToTry, Depends(as_kind(TypeAdapter(RewardsToTry)))]


@router.post("/try", responses=problems(400, 413), openapi_extra=request_of(RewardsToTry.__name__))
def try_rewards(wanted: ToTry, caller: Submitter, services: FromServices) -> RewardsTried:
    """Score completions by rewards, as training would; nothing is stored. Services that the
    rewards call are called.

    Scores not computed within ten seconds are omitted, and their `error` says so.
    """
    spec = resolve({"rewards": wanted.rewards}, defer_costly=True)
    services.reward_checks.check(spec.rewards, caller.project_id)
    access = access_to_services(spec.rewards, services, caller.project_id)
    cases = [each.case() for each in wanted.completions]
    with services.trials.open(
        spec.rewards,
        project_id=caller.project_id,
        seconds_each=spec.scoring.seconds,
        access=access,
    ) as tryout:
        by_reward = [tryout.score_all(number, cases) for number in range(len(spec.rewards))]
    tried = zip(*by_reward, strict=True)
    return RewardsTried(completions=[CompletionTried.of(spec.rewards, each) for each in tried])
