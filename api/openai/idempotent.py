"""Idempotent job creation for OpenAI's client, which retries without an Idempotency-Key."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from api.dependencies.auth import Caller
from api.errors.problems import FieldProblem, Problem
from api.openai.schemas import FineTuningJob
from api.submission.idempotent import MAX_KEY
from store import idempotency

ROUTE = "POST /openai/v1/fine_tuning/jobs"
RETRIED_WITHIN = timedelta(minutes=10)


def once(
    session: Session,
    make: Callable[[], FineTuningJob],
    *,
    caller: Caller,
    headers: Mapping[str, str],
    body_hash: str,
) -> FineTuningJob:
    """Return the result of `make`, or the first answer where the request is a retry.

    A request is a retry if it is marked as one (`x-stainless-retry-count` above 0) and the same key
    sent the same body within ten minutes; or by its `Idempotency-Key`, as in Duet's own API.

    Raises:
        KeyReused: the Idempotency-Key was used with another body.
        KeyBusy: the first request is still in progress after some seconds.
    """
    given = headers.get("idempotency-key")
    if given is not None and len(given) > MAX_KEY:
        detail = f"must have at most {MAX_KEY} characters"
        error = FieldProblem(detail=detail, parameter="Idempotency-Key")
        raise Problem(422, "invalid_request", f"Idempotency-Key {detail}", errors=[error])
    key = given or f"{caller.key_id} {body_hash}"
    kept = idempotency.KEPT if given else RETRIED_WITHIN
    first = idempotency.begin(session, caller.project_id, ROUTE, key, body_hash, kept=kept)
    if first is not None and (given or _is_repetition(headers)):
        return FineTuningJob.model_validate_json(first.body)
    made = make()
    idempotency.finish(
        session,
        caller.project_id,
        ROUTE,
        key,
        body_hash,
        status_code=200,
        location=None,
        body=made.model_dump_json(),
    )
    return made


def _is_repetition(headers: Mapping[str, str]) -> bool:
    count = headers.get("x-stainless-retry-count", "")
    return count.isdecimal() and count.strip("0") != ""
