"""Idempotent job creation for OpenAI's client, which retries without an Idempotency-Key."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from api.errors.problems import FieldProblem, Problem
from api.openai.schemas import FineTuningJob
from api.submission.idempotent import MAX_KEY
from api.submission.submit import JobRequest
from grpo.validation.check import CheckedSpec
from store import idempotency

ROUTE = "POST /openai/v1/fine_tuning/jobs"
RETRIED_WITHIN = timedelta(minutes=10)


def once(
    making: JobRequest,
    check: Callable[[], CheckedSpec],
    make: Callable[[CheckedSpec], FineTuningJob],
    *,
    headers: Mapping[str, str],
    body_hash: str,
) -> FineTuningJob:
    """Return the result of `make`, or the first answer where the request is a retry.

    A request is a retry if it is marked as one (`x-stainless-retry-count` above 0) and the same key
    sent the same body within ten minutes; or by its `Idempotency-Key`, as in Duet's own API.
    The transaction begins after `check`.

    Raises:
        KeyReused: the Idempotency-Key was used with another body.
        KeyBusy: the first request is still in progress after some seconds.
    """
    given = _given_key(headers)
    key = given or f"{making.caller.key_id} {body_hash}"
    kept = idempotency.KEPT if given else RETRIED_WITHIN
    is_retry = given is not None or _is_repetition(headers)
    of_key = (making.caller.project_id, ROUTE, key, body_hash)
    if is_retry:
        with making.services.database.autocommit() as reading:
            if (first := idempotency.replay(reading, *of_key, kept=kept)) is not None:
                return FineTuningJob.model_validate_json(first.body)
    submission = check()
    first = idempotency.begin(making.session, *of_key, kept=kept)
    if first is not None and is_retry:
        return FineTuningJob.model_validate_json(first.body)
    made = make(submission)
    answer = made.model_dump_json()
    idempotency.finish(making.session, *of_key, status_code=200, location=None, body=answer)
    return made


def _given_key(headers: Mapping[str, str]) -> str | None:
    """
    Raises:
        Problem: 422, the Idempotency-Key is too long.
    """
    given = headers.get("idempotency-key")
    if given is not None and len(given) > MAX_KEY:
        detail = f"must have at most {MAX_KEY} characters"
        error = FieldProblem(detail=detail, parameter="Idempotency-Key")
        raise Problem(422, "invalid_request", f"Idempotency-Key {detail}", errors=[error])
    return given


def _is_repetition(headers: Mapping[str, str]) -> bool:
    count = headers.get("x-stainless-retry-count", "")
    return count.isdecimal() and count.strip("0") != ""
