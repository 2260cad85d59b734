"""OpenAI's client repeats a request that it got no answer to, and sends no Idempotency-Key."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy.orm import Session

from api.dependencies.auth import Caller
from api.openai.schemas import FineTuningJob
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
    """What `make` made; the first answer again where the request is a repetition.

    It is one when it says so (`x-stainless-retry-count` above 0) and the same key sent the same
    body within ten minutes; or when it has an `Idempotency-Key`, as in our own API.

    Raises:
        KeyReused: its Idempotency-Key came with another body.
        KeyBusy: the first request has gone on for seconds.
    """
    given = headers.get("idempotency-key")
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
