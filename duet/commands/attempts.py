"""`duet attempts`: a job's attempts and their outcomes."""

from collections.abc import Iterator
from datetime import UTC, datetime

from duet.connection import JobId, Key, Url, connect
from duet.objects.job import Attempt
from duet.terminal.moments import moment
from duet.terminal.output import AsJson, age, print_json, print_lines, say
from duet.terminal.plain import barred

LOG_LINES = 5
"""Lines shown of the log's end; `duet logs` prints all of it."""


def attempts(job: JobId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """List a job's attempts: where each ran, its outcome and the end of its log."""
    with connect(url, key) as client:
        if as_json:
            print_json(client.read(f"/v1/jobs/{job}/attempts"))
            return
        found = client.jobs.attempts(job)
    print_lines(line for attempt in found for line in _lines(attempt))
    if not found:
        say("none yet")


def _lines(attempt: Attempt) -> Iterator[str]:
    ended = attempt.ended_at or datetime.now(UTC)
    took = age((ended - attempt.started_at).total_seconds())
    yield f"attempt {attempt.attempt}  {_outcome(attempt)} after {took}, {_origin(attempt)}"
    gpus = f", GPU {','.join(attempt.gpus)}" if attempt.gpus else ""
    yield f"  {moment(attempt.started_at)} on {attempt.host}{gpus}"
    yield f"  {attempt.worker}"
    if attempt.error is None:
        return
    yield from barred(f"  {attempt.error.code}: {attempt.error.message}")
    if attempt.error.hint:
        yield f"  {attempt.error.hint}"
    yield from (f"  | {line}" for line in (attempt.log_tail or "").splitlines()[-LOG_LINES:])


def _outcome(attempt: Attempt) -> str:
    if attempt.outcome is None:
        return "runs"
    if attempt.exit_signal is not None:
        return f"{attempt.outcome} ({attempt.exit_signal})"
    return (
        f"{attempt.outcome} (exit code {attempt.exit_code})"
        if attempt.exit_code
        else (attempt.outcome)
    )


def _origin(attempt: Attempt) -> str:
    step = attempt.resumed_from_step
    return "from the start" if step is None else f"from step {step}"
